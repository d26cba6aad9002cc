/*
 * audit: is this key what a KEK must be. Attributes are claims of the module; the AAD probe is a
 * fact. One attribute a call: a module that knows one of them not may hide the rest.
 */
#ifndef PKCS11_AUDIT_H
#define PKCS11_AUDIT_H

#include "base/err.h"
#include "pkcs11/session.h"
#include "pkcs11/wrap_gcm.h"

struct audit {
    uint32_t bad;          /* enum ipc_attribute bits */
    uint32_t not_reported;
};

/* E_TOKEN, E_PROTOCOL: an attribute could not be read. */
MUST_USE err_t audit_attributes(const struct session *session, CK_OBJECT_HANDLE key,
                                struct audit *ret_audit);
/*
 * Wraps a canary and opens it under its own and under another AAD, and learns with which code the
 * token refuses that. Adds IPC_ATTR_AAD to *audit when the token does not bind the AAD. E_TOKEN,
 * E_CRYPTO: could not be found out. Not for keys that are not ours.
 */
MUST_USE err_t audit_aad(const struct session *session, CK_OBJECT_HANDLE key, struct audit *audit,
                         struct wrap_canary *ret_canary);

/* The names of the bits, blank between them. */
void audit_names(uint32_t bits, char *to, size_t to_len);

/*
 * The template of a new KEK without CKA_ID and CKA_LABEL; the attributes point to static storage.
 * The last one is CKA_MODIFIABLE, which not every token accepts.
 */
#define AUDIT_TEMPLATE_MAX 16u
size_t audit_template(CK_ATTRIBUTE ret_template[AUDIT_TEMPLATE_MAX]);

#endif
