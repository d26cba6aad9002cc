/* pin_hash: what a PIN that was refused is known by; costs a third of a second. */
#ifndef PKCS11_PIN_HASH_H
#define PKCS11_PIN_HASH_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "base/version.h"
#include "pkcs11/pin_record.h"

/*
 * Tests wait for the rules, not for the hash; tests/daemon/test_pin.py checks the number that is
 * shipped.
 */
#define PIN_HASH_ROUNDS (P11KMS_TEST_BUILD ? 1000 : 600000)

/* PBKDF2-HMAC-SHA256. E_LIMIT: OpenSSL fails. */
MUST_USE err_t pin_hash(struct span pin, const uint8_t salt[PIN_RECORD_SALT],
                        uint8_t ret_hash[PIN_RECORD_HASH]);

#endif
