/*
 * soft_kek: a KEK in software that wraps as a token would, so that tests of keys/ see a whole
 * envelope. For tests only: the key value lies in plain memory.
 */
#ifndef TESTS_KIT_SOFT_KEK_H
#define TESTS_KIT_SOFT_KEK_H

#include "base/err.h"
#include "base/span.h"
#include "keys/envelope.h"

struct soft_kek {
    uint8_t value[32];
};

/* One block of AES-CBC over zeros, as the token process does it. */
MUST_USE err_t soft_kek_fingerprint(const struct soft_kek *kek, uint8_t ret_fingerprint[16]);
/* Appends iv_len ‖ iv ‖ ciphertext ‖ tag. */
MUST_USE err_t soft_kek_wrap(const struct soft_kek *kek, struct span aad, struct span iv,
                             struct span plain, struct writer *w);
/* E_CRYPTO when it does not authenticate. */
MUST_USE err_t soft_kek_unwrap(const struct soft_kek *kek, struct span aad, struct span wrapped,
                               struct span_mut out, size_t *ret_len);

/* What suite 2 wraps: u16 length ‖ DEK ‖ first 16 bytes of SHA-256(label ‖ bytes 0..47 ‖ DEK). */
MUST_USE err_t soft_kek_direct_write(const struct envelope_head *head, struct span dek,
                                     struct writer *w);

/* Parses, unwraps and opens an envelope of either suite with this KEK, by the code under test. */
struct seal;
MUST_USE err_t soft_kek_open(const struct soft_kek *kek, struct seal *seal, struct span envelope,
                             struct span_mut out, size_t *ret_len);

#endif
