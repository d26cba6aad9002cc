#include "pkcs11/make.h"

#include "pkcs11/lie.h"
#include "pkcs11/rv.h"

#define TEMPLATE_MAX 24u

static CK_BBOOL yes = CK_TRUE;
static CK_BBOOL no = CK_FALSE;

static size_t add_rules(const struct wrap_object *object, bool modifiable_said,
                        CK_ATTRIBUTE *template, size_t n)
{
    for (size_t i = 0; i < object->rules_n && n < TEMPLATE_MAX; i++) {
        const struct wrap_rule *rule = &object->rules[i];
        if (rule->given && (modifiable_said || rule->type != CKA_MODIFIABLE)) {
            template[n++] = (CK_ATTRIBUTE){rule->type, rule->must ? &yes : &no, sizeof(yes)};
        }
    }
    return n;
}

err_t make_secret_key(const struct session *session, CK_MECHANISM_TYPE mechanism,
                      const struct wrap_object *object, const struct wrap_new *what,
                      CK_OBJECT_HANDLE *ret_handle)
{
    CK_OBJECT_CLASS class = object->class;
    CK_KEY_TYPE type = object->type;
    CK_ULONG bytes = object->value_len;
    CK_ATTRIBUTE template[TEMPLATE_MAX] = {{CKA_ID, p11_bytes(what->id), what->id.len},
                                           {CKA_LABEL, p11_bytes(what->label), what->label.len},
                                           {CKA_CLASS, &class, sizeof(class)},
                                           {CKA_KEY_TYPE, &type, sizeof(type)},
                                           {CKA_VALUE_LEN, &bytes, sizeof(bytes)},
                                           {CKA_TOKEN, &yes, sizeof(yes)}};
    size_t n = add_rules(object, what->modifiable_said, template, 6);
    CK_MECHANISM how = {mechanism, NULL, 0};
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    RV_TRY(P11(session->module, C_GenerateKey, session->handle, &how, template, n, &handle),
           "C_GenerateKey");
    if (handle == CK_INVALID_HANDLE) {
        return LIE("C_GenerateKey gave a handle that is none", handle);
    }
    *ret_handle = handle;
    return OK;
}
