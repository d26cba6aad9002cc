#include "pkcs11/audit.h"

#include <stdio.h>
#include <string.h>

#include "pkcs11/find.h"
#include "pkcs11/lie.h"
#include "pkcs11/rv.h"
#include "token/ipc.h"

#define FLIPS 3

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
                             const struct wrap_object *object, struct audit *audit)
{
    CK_ULONG bytes = 0;
    bool known = false;
    if (object->value_len == 0) {
        return OK;
    }
    TRY(read_one(session, key, (CK_ATTRIBUTE){CKA_VALUE_LEN, &bytes, sizeof(bytes)}, &known));
    audit->not_reported |= known ? 0 : IPC_ATTR_VALUE;
    audit->bad |= known && bytes != object->value_len ? IPC_ATTR_VALUE : 0;
    return OK;
}

static err_t check_rule(const struct session *session, CK_OBJECT_HANDLE key,
                        const struct wrap_rule *rule, struct audit *audit)
{
    CK_BBOOL value = CK_FALSE;
    bool known = false;
    TRY(read_one(session, key, (CK_ATTRIBUTE){rule->type, &value, sizeof(value)}, &known));
    if (value > CK_TRUE) {
        return LIE("C_GetAttributeValue gave a flag that is neither true nor false", value);
    }
    if (!known) {
        audit->not_reported |= rule->bit;
    } else if ((value != CK_FALSE) != rule->must) {
        audit->bad |= rule->bit;
    }
    return OK;
}

static err_t check_object(const struct session *session, CK_OBJECT_HANDLE key,
                          const struct wrap_object *object, struct audit *audit)
{
    for (size_t i = 0; i < object->rules_n; i++) {
        TRY(check_rule(session, key, &object->rules[i], audit));
    }
    return check_value_len(session, key, object, audit);
}

err_t audit_attributes(const struct session *session, const struct wrap_kek *kek,
                       struct audit *ret_audit)
{
    struct audit audit = {0};
    for (unsigned i = 0; i < kek->scheme->objects_n; i++) {
        TRY(check_object(session, kek->handles[i], kek->scheme->objects[i], &audit));
    }
    *ret_audit = audit;
    return OK;
}

/*
 * A code that says nothing may have been a hiccup of the token, which would hide that it opens
 * under any AAD: it is believed the third time.
 */
static err_t open_flipped(const struct session *session, const struct wrap_kek *kek,
                          const struct canary *canary)
{
    err_t err = canary_open(session, kek, canary, true);
    for (int i = 1; rv_class_of(err) == RV_OUTAGE && i < FLIPS; i++) {
        err_t again = canary_open(session, kek, canary, true);
        if (failed(again) && !kek->scheme->is_refusal(again)) {
            break; /* some sessions are spoilt by the refusal itself */
        }
        err = again;
    }
    return err;
}

err_t audit_aad(const struct session *session, const struct wrap_kek *kek, struct audit *audit,
                struct canary *ret_canary)
{
    struct canary canary;
    err_t err = canary_make(session, kek, &canary);
    TRY(rv_may_pass(err) ? canary_make(session, kek, &canary) : err);
    err = canary_open(session, kek, &canary, false);
    TRY(rv_may_pass(err) ? canary_open(session, kek, &canary, false) : err);
    err = open_flipped(session, kek, &canary);
    if (failed(err) && !kek->scheme->is_refusal(err)) {
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
