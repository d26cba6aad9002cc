#include "tests/kit/soft_kek.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/own.h"
#include "keys/seal.h"

DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)

#define DIRECT_LABEL "p11-kms direct v1"

static err_t no_crypto(void)
{
    return FAIL(E_CRYPTO, "libcrypto refused in the test kit");
}

err_t soft_kek_fingerprint(const struct soft_kek *kek, uint8_t ret_fingerprint[16])
{
    static const char label[] = "p11-kms fingerprint v1";
    static const uint8_t zeros[16];
    uint8_t iv[32];
    int n = 0;
    CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (EVP_Q_digest(NULL, "SHA256", NULL, label, sizeof(label) - 1, iv, NULL) != 1 ||
        EVP_EncryptInit_ex2(ctx, EVP_aes_256_cbc(), kek->value, iv, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(ctx, 0) != 1 ||
        EVP_EncryptUpdate(ctx, ret_fingerprint, &n, zeros, sizeof(zeros)) != 1) {
        return no_crypto();
    }
    return OK;
}

static EVP_CIPHER_CTX *gcm(const struct soft_kek *kek, struct span iv, struct span aad, int encrypt)
{
    int n = 0;
    CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (EVP_CipherInit_ex2(ctx, EVP_aes_256_gcm(), NULL, NULL, encrypt, NULL) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)iv.len, NULL) != 1 ||
        EVP_CipherInit_ex2(ctx, NULL, kek->value, iv.ptr, encrypt, NULL) != 1 ||
        EVP_CipherUpdate(ctx, NULL, &n, aad.ptr, (int)aad.len) != 1) {
        return NULL;
    }
    return TAKE(ctx);
}

err_t soft_kek_wrap(const struct soft_kek *kek, struct span aad, struct span iv, struct span plain,
                    struct writer *w)
{
    writer_u8(w, (uint8_t)iv.len);
    writer_bytes(w, iv);
    uint8_t *out = writer_room(w, plain.len).ptr;
    uint8_t *tag = writer_room(w, ENVELOPE_TAG).ptr;
    int n = 0;
    CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *ctx = gcm(kek, iv, aad, 1);
    if (w->bad || ctx == NULL || EVP_CipherUpdate(ctx, out, &n, plain.ptr, (int)plain.len) != 1 ||
        EVP_CipherFinal_ex(ctx, tag, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, ENVELOPE_TAG, tag) != 1) {
        return no_crypto();
    }
    return OK;
}

err_t soft_kek_unwrap(const struct soft_kek *kek, struct span aad, struct span wrapped,
                      struct span_mut out, size_t *ret_len)
{
    struct cursor c = cursor_of(wrapped);
    struct span iv = cursor_bytes(&c, cursor_u8(&c));
    uint8_t tag[ENVELOPE_TAG];
    uint8_t none[ENVELOPE_TAG];
    if (c.bad || c.rest.len < sizeof(tag) || c.rest.len - sizeof(tag) > out.len) {
        return no_crypto();
    }
    struct span sealed = cursor_bytes(&c, c.rest.len - sizeof(tag));
    cursor_copy(&c, tag, sizeof(tag));
    int n = 0;
    CLEANUP(EVP_CIPHER_CTX_free_p) EVP_CIPHER_CTX *ctx = gcm(kek, iv, aad, 0);
    if (ctx == NULL || EVP_CipherUpdate(ctx, out.ptr, &n, sealed.ptr, (int)sealed.len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1 ||
        EVP_CipherFinal_ex(ctx, none, &n) != 1) {
        return no_crypto();
    }
    *ret_len = sealed.len;
    return OK;
}

err_t soft_kek_direct_write(const struct envelope_head *head, struct span dek, struct writer *w)
{
    uint8_t bytes[1024];
    uint8_t hash[32];
    uint8_t aad[ENVELOPE_WRAP_AAD];
    envelope_wrap_aad(head, aad);
    struct writer hashed = writer_of(span_mut_of(bytes, sizeof(bytes)));
    writer_bytes(&hashed, span_of_text(DIRECT_LABEL));
    writer_bytes(&hashed, span_of(aad, sizeof(aad)));
    writer_bytes(&hashed, dek);
    if (EVP_Q_digest(NULL, "SHA256", NULL, bytes, hashed.len, hash, NULL) != 1) {
        return no_crypto();
    }
    writer_u16(w, (uint16_t)dek.len);
    writer_bytes(w, dek);
    writer_bytes(w, span_of(hash, 16));
    return w->bad ? no_crypto() : OK;
}

/* The wrapped bytes must be exactly what soft_kek_direct_write makes of the DEK in them. */
static err_t direct_read(const struct envelope_head *head, struct span inner, struct span_mut out,
                         size_t *ret_len)
{
    uint8_t again[ENVELOPE_WRAPPED_MAX];
    struct cursor c = cursor_of(inner);
    struct span dek = cursor_bytes(&c, cursor_u16(&c));
    struct writer w = writer_of(span_mut_of(again, sizeof(again)));
    TRY(soft_kek_direct_write(head, dek, &w));
    if (c.bad || !span_equal(writer_done(&w), inner) || !span_copy(out, dek)) {
        return no_crypto();
    }
    *ret_len = dek.len;
    return OK;
}

err_t soft_kek_open(const struct soft_kek *kek, struct seal *seal, struct span envelope,
                    struct span_mut out, size_t *ret_len)
{
    struct envelope e;
    uint8_t aad[ENVELOPE_WRAP_AAD];
    uint8_t inner[ENVELOPE_WRAPPED_MAX];
    uint8_t derived[SEAL_DERIVED_LEN];
    size_t n = 0;
    TRY(envelope_parse(envelope, &e));
    envelope_wrap_aad(&e.head, aad);
    TRY(soft_kek_unwrap(kek, span_of(aad, sizeof(aad)), e.wrapped,
                        span_mut_of(inner, sizeof(inner)), &n));
    if (e.head.suite == ENVELOPE_DIRECT) {
        return direct_read(&e.head, span_of(inner, n), out, ret_len);
    }
    TRY(seal_derive(seal, &e, span_of(inner, n), span_mut_of(derived, sizeof(derived))));
    return seal_open(seal, &e, span_of(derived, sizeof(derived)), out, ret_len);
}
