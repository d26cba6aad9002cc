#include "pkcs11/pin_hash.h"

#include <openssl/evp.h>

err_t pin_hash(struct span pin, const uint8_t salt[PIN_RECORD_SALT],
               uint8_t ret_hash[PIN_RECORD_HASH])
{
    int done = PKCS5_PBKDF2_HMAC((const char *)pin.ptr, (int)pin.len, salt, PIN_RECORD_SALT,
                                 PIN_HASH_ROUNDS, EVP_sha256(), PIN_RECORD_HASH, ret_hash);
    return done == 1 ? OK : FAIL(E_LIMIT, "PBKDF2");
}
