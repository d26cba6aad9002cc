/*
 * wrap_gcm: scheme 1, AES-256-GCM on the token with an IV from this host, single part.
 *
 *   1         iv_len (12 or 16; 12 in all we write)
 *   iv_len    IV
 *   n         ciphertext
 *   16        tag
 *
 * A module may fill its output and then fail, so outputs are wiped on every error.
 */
#ifndef PKCS11_WRAP_GCM_H
#define PKCS11_WRAP_GCM_H

#include "base/err.h"
#include "base/span.h"
#include "pkcs11/session.h"

#define WRAP_GCM_OVERHEAD  29u /* bytes that a wrap adds */
#define WRAP_GCM_DATA_MAX  1024u
#define WRAP_CANARY_LEN    (16u + WRAP_GCM_OVERHEAD)

/*
 * E_LIMIT: a size out of range. E_TOKEN. E_PROTOCOL: a length that cannot be. E_UNSUPPORTED: the
 * token does not do AES-GCM with host IVs.
 */
MUST_USE err_t wrap_gcm(const struct session *session, CK_OBJECT_HANDLE key, struct span aad,
                        struct span data, struct span_mut out, size_t *ret_len);
/*
 * E_INVALID: malformed. E_PROTOCOL: a length that cannot be. E_TOKEN as the module says;
 * CKR_GENERAL_ERROR may be a wrong tag or an outage. out must hold wrapped.len bytes: some modules
 * want room for the ciphertext.
 */
MUST_USE err_t unwrap_gcm(const struct session *session, CK_OBJECT_HANDLE key, struct span aad,
                          struct span wrapped, struct span_mut out, size_t *ret_len);

/* A wrap of nothing secret that shows whether this key opens what it wrapped. */
struct wrap_canary {
    uint8_t bytes[WRAP_CANARY_LEN];
    CK_RV refusal; /* of C_Decrypt under another AAD: so this token says "does not authenticate" */
};

/* `refusal` is left for who asks for it: see audit_aad. */
MUST_USE err_t wrap_canary_make(const struct session *session, CK_OBJECT_HANDLE key,
                                struct wrap_canary *ret_canary);
/* OK when it opens; with `flip` under an AAD that differs in one bit, which it must not. */
MUST_USE err_t wrap_canary_open(const struct session *session, CK_OBJECT_HANDLE key,
                                const struct wrap_canary *canary, bool flip);

#endif
