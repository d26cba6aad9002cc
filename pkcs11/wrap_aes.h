/*
 * wrap_aes: the AES-256 key that wraps in the AES schemes: what it must be, and how it is known.
 */
#ifndef PKCS11_WRAP_AES_H
#define PKCS11_WRAP_AES_H

#include "pkcs11/wrap.h"

#define WRAP_AES_BYTES 32u

extern const struct wrap_object wrap_aes_key;

/*
 * The block of AES-CBC that it makes of 16 zero bytes; the IV is the first 16 bytes of
 * SHA-256("p11-kms fingerprint v1"). As of struct wrap_scheme.
 */
MUST_USE err_t wrap_aes_fingerprint(const struct session *session, const struct wrap_kek *kek,
                                    uint8_t ret_bytes[IPC_FINGERPRINT_MAX], uint8_t *ret_len);

#endif
