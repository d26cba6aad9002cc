/*
 * kdf: the two keyed hashes of suite 1, in their fast form: one HMAC-SHA-256 context, fetched once
 * and given a new key each time. Used by seal alone. Keys and results lie in the caller's arena
 * rooms.
 *
 *   derived = KBKDF, SP 800-108 counter mode:
 *             HMAC(seed, u32 i ‖ label ‖ 0 ‖ context ‖ u32 512), i = 1, 2
 *   context = SHA-256(bytes before the salt) ‖ salt
 *   salt    = HMAC(seed, "p11-kms/v1/salt" ‖ 32 random bytes ‖ plaintext)
 */
#ifndef KEYS_KDF_H
#define KEYS_KDF_H

#include <openssl/evp.h>

#include "base/err.h"
#include "base/span.h"

#define KDF_OUT     64u
#define KDF_HASH    32u
#define KDF_CONTEXT 64u

struct kdf {
    EVP_MAC *mac;
    EVP_MAC_CTX *ctx;
};

MUST_USE err_t kdf_init(struct kdf *kdf);
void kdf_done(struct kdf *kdf);

/* out: KDF_OUT bytes. */
MUST_USE err_t kdf_derive(struct kdf *kdf, struct span seed, const uint8_t context[KDF_CONTEXT],
                          uint8_t *out);
/* out: KDF_HASH bytes. */
MUST_USE err_t kdf_salt(struct kdf *kdf, struct span seed, struct span random,
                        struct span plaintext, uint8_t *out);

/* The same as kdf_derive by libcrypto's own KBKDF: slow, for the comparison at start. */
MUST_USE err_t kdf_derive_slow(struct span seed, const uint8_t context[KDF_CONTEXT], uint8_t *out);

#endif
