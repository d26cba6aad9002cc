#include "pkcs11/wrap_aes.h"

#include <openssl/evp.h>

#include "pkcs11/lie.h"
#include "pkcs11/rv.h"

#define BLOCK 16u

static const struct wrap_rule rules[] = {
    {CKA_PRIVATE, IPC_ATTR_PRIVATE, true, true},
    {CKA_SENSITIVE, IPC_ATTR_SENSITIVE, true, true},
    {CKA_ALWAYS_SENSITIVE, IPC_ATTR_ALWAYS_SENSITIVE, true, false},
    {CKA_NEVER_EXTRACTABLE, IPC_ATTR_NEVER_EXTRACTABLE, true, false},
    {CKA_LOCAL, IPC_ATTR_LOCAL, true, false},
    {CKA_ENCRYPT, IPC_ATTR_ENCRYPT, true, true},
    {CKA_DECRYPT, IPC_ATTR_DECRYPT, true, true},
    {CKA_EXTRACTABLE, IPC_ATTR_EXTRACTABLE, false, true},
    {CKA_SIGN, IPC_ATTR_SIGN, false, true},
    {CKA_VERIFY, IPC_ATTR_VERIFY, false, true},
    {CKA_WRAP, IPC_ATTR_WRAP, false, true},
    {CKA_UNWRAP, IPC_ATTR_UNWRAP, false, true},
    {CKA_DERIVE, IPC_ATTR_DERIVE, false, true},
    {CKA_MODIFIABLE, IPC_ATTR_MODIFIABLE, false, true},
};

const struct wrap_object wrap_aes_key = {.class = CKO_SECRET_KEY,
                                         .type = CKK_AES,
                                         .rules = rules,
                                         .rules_n = sizeof(rules) / sizeof(rules[0]),
                                         .value_len = WRAP_AES_BYTES};

static err_t fingerprint_iv(uint8_t ret_iv[BLOCK])
{
    static const char text[] = "p11-kms fingerprint v1";
    uint8_t hash[EVP_MAX_MD_SIZE];
    if (EVP_Digest(text, sizeof(text) - 1, hash, NULL, EVP_sha256(), NULL) != 1) {
        return FAIL(E_LIMIT, "SHA-256");
    }
    span_move(ret_iv, hash, BLOCK);
    return OK;
}

err_t wrap_aes_fingerprint(const struct session *session, const struct wrap_kek *kek,
                           uint8_t ret_bytes[IPC_FINGERPRINT_MAX], uint8_t *ret_len)
{
    uint8_t iv[BLOCK];
    uint8_t zero[BLOCK] = {0};
    uint8_t out[2 * BLOCK];
    CK_ULONG len = sizeof(out);
    TRY(fingerprint_iv(iv));
    CK_MECHANISM mechanism = {CKM_AES_CBC, iv, sizeof(iv)};
    RV_TRY(P11(session->module, C_EncryptInit, session->handle, &mechanism, kek->handles[0]),
           "C_EncryptInit");
    RV_TRY(P11(session->module, C_Encrypt, session->handle, zero, sizeof(zero), out, &len),
           "C_Encrypt");
    if (len != BLOCK) {
        return LIE("C_Encrypt of AES-CBC gave another length than its input has", len);
    }
    span_move(ret_bytes, out, BLOCK);
    *ret_len = BLOCK;
    return OK;
}
