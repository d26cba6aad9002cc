/*
 * audit: is this key what a KEK must be. Attributes are claims of the module; the AAD probe is a
 * fact. One attribute a call: a module that knows one of them not may hide the rest.
 */
#ifndef PKCS11_AUDIT_H
#define PKCS11_AUDIT_H

#include "base/err.h"
#include "pkcs11/canary.h"
#include "pkcs11/wrap.h"

struct audit {
    uint32_t bad; /* enum ipc_attribute bits */
    uint32_t not_reported;
};

/* Of all objects of the KEK together. E_TOKEN, E_PROTOCOL: an attribute could not be read. */
MUST_USE err_t audit_attributes(const struct session *session, const struct wrap_kek *kek,
                                struct audit *ret_audit);
/*
 * Wraps a canary and opens it under its own and under another AAD, and learns with which code the
 * token refuses that. Adds IPC_ATTR_AAD to *audit when the token does not bind the AAD. E_TOKEN,
 * E_CRYPTO: could not be found out. Not for keys that are not ours.
 */
MUST_USE err_t audit_aad(const struct session *session, const struct wrap_kek *kek,
                         struct audit *audit, struct canary *ret_canary);

/* The names of the bits, blank between them. */
void audit_names(uint32_t bits, char *to, size_t to_len);

#endif
