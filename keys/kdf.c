#include "keys/kdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/own.h"

#define LABEL      "p11-kms/v1/dek"
#define SALT_LABEL "p11-kms/v1/salt"
#define LABEL_LEN  (sizeof(LABEL) - 1)
#define BLOCK_MAX  (4u + LABEL_LEN + 1u + KDF_CONTEXT + 4u)

DEFINE_CLEANUP(EVP_KDF *, EVP_KDF_free)
DEFINE_CLEANUP(EVP_KDF_CTX *, EVP_KDF_CTX_free)

/* The only cause at run time is an exhausted arena. */
static err_t no_memory(void)
{
    return FAIL(E_LIMIT, "libcrypto cannot hash");
}

err_t kdf_init(struct kdf *kdf)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_END};
    kdf->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    kdf->ctx = EVP_MAC_CTX_new(kdf->mac);
    if (kdf->ctx == NULL || EVP_MAC_CTX_set_params(kdf->ctx, params) != 1) {
        return no_memory();
    }
    return OK;
}

void kdf_done(struct kdf *kdf)
{
    EVP_MAC_CTX_free(kdf->ctx);
    EVP_MAC_free(kdf->mac);
    *kdf = (struct kdf){0};
}

static err_t hmac_block(struct kdf *kdf, struct span block, uint8_t *out)
{
    size_t len = 0;
    if (EVP_MAC_update(kdf->ctx, block.ptr, block.len) != 1 ||
        EVP_MAC_final(kdf->ctx, out, &len, KDF_HASH) != 1) {
        return no_memory();
    }
    return OK;
}

err_t kdf_derive(struct kdf *kdf, struct span seed, const uint8_t context[KDF_CONTEXT],
                 uint8_t *out)
{
    uint8_t block[BLOCK_MAX];
    for (uint32_t i = 1; i <= KDF_OUT / KDF_HASH; i++) {
        struct writer w = writer_of(span_mut_of(block, sizeof(block)));
        writer_u32(&w, i);
        writer_bytes(&w, span_of(LABEL, LABEL_LEN + 1)); /* its NUL is the zero byte */
        writer_bytes(&w, span_of(context, KDF_CONTEXT));
        writer_u32(&w, KDF_OUT * 8);
        if (EVP_MAC_init(kdf->ctx, seed.ptr, seed.len, NULL) != 1) {
            return no_memory();
        }
        TRY(hmac_block(kdf, writer_done(&w), out + (i - 1) * KDF_HASH));
    }
    return OK;
}

err_t kdf_salt(struct kdf *kdf, struct span seed, struct span random, struct span plaintext,
               uint8_t *out)
{
    struct span label = span_of_text(SALT_LABEL);
    if (EVP_MAC_init(kdf->ctx, seed.ptr, seed.len, NULL) != 1 ||
        EVP_MAC_update(kdf->ctx, label.ptr, label.len) != 1 ||
        EVP_MAC_update(kdf->ctx, random.ptr, random.len) != 1) {
        return no_memory();
    }
    return hmac_block(kdf, plaintext, out);
}

err_t kdf_derive_slow(struct span seed, const uint8_t context[KDF_CONTEXT], uint8_t *out)
{
    char mac[] = "HMAC";
    char digest[] = "SHA256";
    char mode[] = "counter";
    uint8_t label[] = LABEL;
    uint8_t info[KDF_CONTEXT];
    span_move(info, context, sizeof(info));
    CLEANUP(EVP_KDF_free_p) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
    CLEANUP(EVP_KDF_CTX_free_p) EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_MAC, mac, 0),
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)seed.ptr,
                                          seed.len),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, label, LABEL_LEN),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info)),
        OSSL_PARAM_END,
    };
    if (ctx == NULL || EVP_KDF_derive(ctx, out, KDF_OUT, params) != 1) {
        return no_memory();
    }
    return OK;
}
