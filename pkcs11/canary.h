/*
 * canary: a wrap of nothing secret that shows whether a KEK opens what it wrapped, and how its
 * token refuses what it did not.
 */
#ifndef PKCS11_CANARY_H
#define PKCS11_CANARY_H

#include "keys/envelope.h"
#include "pkcs11/wrap.h"

struct canary {
    CK_RV refusal; /* detail of the refusal under another AAD; CKR_OK: not known, or none */
    size_t len;
    uint8_t bytes[ENVELOPE_WRAPPED_MAX];
};

/* `refusal` is left for who asks for it: see audit_aad. As the scheme's wrap. */
MUST_USE err_t canary_make(const struct session *session, const struct wrap_kek *kek,
                           struct canary *ret_canary);
/*
 * OK when it opens; with `flip` under an AAD that differs in one bit, which it must not. E_CRYPTO:
 * to something else.
 */
MUST_USE err_t canary_open(const struct session *session, const struct wrap_kek *kek,
                           const struct canary *canary, bool flip);

#endif
