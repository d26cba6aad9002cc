#include "pkcs11/audit.h"

#include <stdio.h>
#include <string.h>

#include "token/ipc.h"
#include "pkcs11/find.h"
#include "pkcs11/lie.h"
#include "pkcs11/rv.h"

#define KEK_BYTES 32u
#define FLIPS     3

static const struct rule {
    CK_ATTRIBUTE_TYPE type;
    uint32_t bit;
    bool must;
    bool given; /* part of the template; the others follow from how the key came to be */
} rules[] = {
    {CKA_PRIVATE, IPC_ATTR_PRIVATE, true, true},
    {CKA_SENSITIVE, IPC_ATTR_SENSITIVE, true, true},
    {CKA_ALWAYS_SENSITIVE, IPC_ATTR_ALWAYS_SENSITIVE, true, false},
    {CKA_NEVER_EXTRACTABLE, IPC_ATTR_NEVER_EXTRACTABLE, true, false},
    {CKA_LOCAL, IPC_ATTR_LOCAL, true, false},
    {CKA_ENCRYPT, IPC_ATTR_ENCRYPT, true, true},
    {CKA_DECRYPT, IPC_ATTR_DECRYPT, true, true},
    {CKA_EXTRACTABLE, IPC_ATTR_EXTRACTABLE, false, true},
    {CKA_SIGN, IPC_ATTR_SIGN, false, true},
    {CKA_VERIFY, IPC_ATTR_VERIFY, false, true},
    {CKA_WRAP, IPC_ATTR_WRAP, false, true},
    {CKA_UNWRAP, IPC_ATTR_UNWRAP, false, true},
    {CKA_DERIVE, IPC_ATTR_DERIVE, false, true},
    {CKA_MODIFIABLE, IPC_ATTR_MODIFIABLE, false, true},
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

/* *ret_known false: the object has no such attribute. E_PROTOCOL: nonsense, which says nothing. */
static err_t read_one(const struct session *session, CK_OBJECT_HANDLE key, CK_ATTRIBUTE attribute,
                      bool *ret_known)
{
    CK_ULONG len = attribute.ulValueLen;
    err_t err = find_attribute(session, key, &attribute);
    if (err.code == E_TOKEN && rv_is_no_attribute(err.detail)) {
        *ret_known = false;
        return OK;
    }
    TRY(err);
    if (attribute.ulValueLen != len) {
        return LIE("C_GetAttributeValue gave a flag or number of another size",
                   attribute.ulValueLen);
    }
    *ret_known = true;
    return OK;
}

static err_t check_value_len(const struct session *session, CK_OBJECT_HANDLE key,
                             struct audit *audit)
{
    CK_ULONG bytes = 0;
    bool known;
    TRY(read_one(session, key, (CK_ATTRIBUTE){CKA_VALUE_LEN, &bytes, sizeof(bytes)}, &known));
    audit->not_reported |= known ? 0 : IPC_ATTR_VALUE;
    audit->bad |= known && bytes != KEK_BYTES ? IPC_ATTR_VALUE : 0;
    return OK;
}

err_t audit_attributes(const struct session *session, CK_OBJECT_HANDLE key, struct audit *ret_audit)
{
    struct audit audit = {0};
    for (size_t i = 0; i < RULES; i++) {
        CK_BBOOL value = CK_FALSE;
        bool known;
        TRY(read_one(session, key, (CK_ATTRIBUTE){rules[i].type, &value, sizeof(value)}, &known));
        if (value > CK_TRUE) {
            return LIE("C_GetAttributeValue gave a flag that is neither true nor false", value);
        }
        if (!known) {
            audit.not_reported |= rules[i].bit;
        } else if ((value != CK_FALSE) != rules[i].must) {
            audit.bad |= rules[i].bit;
        }
    }
    TRY(check_value_len(session, key, &audit));
    *ret_audit = audit;
    return OK;
}

/*
 * A code that says nothing may have been a hiccup of the token, which would hide that it opens
 * under any AAD: it is believed the third time.
 */
static err_t open_flipped(const struct session *session, CK_OBJECT_HANDLE key,
                          const struct wrap_canary *canary)
{
    err_t err = wrap_canary_open(session, key, canary, true);
    for (int i = 1; rv_class_of(err) == RV_OUTAGE && i < FLIPS; i++) {
        err_t again = wrap_canary_open(session, key, canary, true);
        if (failed(again) && !rv_is_of(again, "C_Decrypt")) {
            break; /* some sessions are spoilt by the refusal itself */
        }
        err = again;
    }
    return err;
}

err_t audit_aad(const struct session *session, CK_OBJECT_HANDLE key, struct audit *audit,
                struct wrap_canary *ret_canary)
{
    struct wrap_canary canary;
    err_t err = wrap_canary_make(session, key, &canary);
    TRY(rv_may_pass(err) ? wrap_canary_make(session, key, &canary) : err);
    err = wrap_canary_open(session, key, &canary, false);
    TRY(rv_may_pass(err) ? wrap_canary_open(session, key, &canary, false) : err);
    err = open_flipped(session, key, &canary);
    if (failed(err) && !rv_is_of(err, "C_Decrypt")) {
        return err;
    }
    audit->bad |= failed(err) ? 0 : IPC_ATTR_AAD;
    canary.refusal = failed(err) ? err.detail : CKR_OK;
    *ret_canary = canary;
    return OK;
}

void audit_names(uint32_t bits, char *to, size_t to_len)
{
    to[0] = '\0';
    for (uint32_t bit = 1; bit <= IPC_ATTR_MODIFIABLE; bit <<= 1) {
        if ((bits & bit) != 0) {
            size_t used = strlen(to);
            (void)snprintf(to + used, to_len - used, "%s%s", used == 0 ? "" : " ",
                           ipc_attribute_name(bit));
        }
    }
}

size_t audit_template(CK_ATTRIBUTE ret_template[AUDIT_TEMPLATE_MAX])
{
    static CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    static CK_KEY_TYPE type = CKK_AES;
    static CK_ULONG bytes = KEK_BYTES;
    static CK_BBOOL yes = CK_TRUE;
    static CK_BBOOL no = CK_FALSE;
    const CK_ATTRIBUTE fixed[] = {{CKA_CLASS, &class, sizeof(class)},
                                  {CKA_KEY_TYPE, &type, sizeof(type)},
                                  {CKA_VALUE_LEN, &bytes, sizeof(bytes)},
                                  {CKA_TOKEN, &yes, sizeof(yes)}};
    size_t n = 0;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        ret_template[n++] = fixed[i];
    }
    for (size_t i = 0; i < RULES; i++) {
        if (rules[i].given) {
            ret_template[n++] =
                (CK_ATTRIBUTE){rules[i].type, rules[i].must ? &yes : &no, sizeof(yes)};
        }
    }
    return n;
}
