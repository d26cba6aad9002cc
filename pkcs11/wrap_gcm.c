#include "pkcs11/wrap_gcm.h"

#include <sys/random.h>

#include "base/secret.h"
#include "token/ipc.h"
#include "pkcs11/lie.h"
#include "pkcs11/rv.h"
#include "pkcs11/status.h"

#define IV_LEN      12u
#define IV_LEN_LONG 16u
#define TAG_LEN     16u

static const char canary_aad[] = "p11-kms canary v1";
static const uint8_t canary_text[16] = {0};

struct gcm {
    CK_GCM_PARAMS params;
    CK_MECHANISM mechanism;
};

/* Every length is said: some modules refuse ulIvBits 0, some accept tags of no bits. */
static void gcm_set(struct gcm *gcm, struct span iv, struct span aad)
{
    gcm->params = (CK_GCM_PARAMS){.pIv = p11_bytes(iv),
                                  .ulIvLen = iv.len,
                                  .ulIvBits = 8 * iv.len,
                                  .pAAD = p11_bytes(aad),
                                  .ulAADLen = aad.len,
                                  .ulTagBits = 8 * TAG_LEN};
    gcm->mechanism = (CK_MECHANISM){CKM_AES_GCM, &gcm->params, sizeof(gcm->params)};
}

static err_t encrypt(const struct session *session, CK_OBJECT_HANDLE key, struct gcm *gcm,
                     struct span data, struct span_mut out)
{
    CK_ULONG len = out.len;
    status_count_call();
    RV_TRY(P11(session->module, C_EncryptInit, session->handle, &gcm->mechanism, key),
           "C_EncryptInit");
    RV_TRY(
        P11(session->module, C_Encrypt, session->handle, p11_bytes(data), data.len, out.ptr, &len),
        "C_Encrypt");
    if (len != data.len + TAG_LEN) {
        return LIE("C_Encrypt of AES-GCM gave another length than data and tag have", len);
    }
    return OK;
}

err_t wrap_gcm(const struct session *session, CK_OBJECT_HANDLE key, struct span aad,
               struct span data, struct span_mut out, size_t *ret_len)
{
    size_t len = data.len + WRAP_GCM_OVERHEAD;
    if (data.len == 0 || data.len > WRAP_GCM_DATA_MAX || out.len < len) {
        return FAIL(E_LIMIT, "data to wrap of a size out of range");
    }
    struct span_mut iv = span_mut_of(out.ptr + 1, IV_LEN);
    struct span_mut sealed = span_mut_of(out.ptr + 1 + IV_LEN, len - 1 - IV_LEN);
    uint8_t given[IV_LEN];
    if (getrandom(given, sizeof(given), 0) != (ssize_t)sizeof(given)) {
        return FAIL_ERRNO("getrandom");
    }
    out.ptr[0] = IV_LEN;
    (void)span_copy(iv, span_of(given, sizeof(given)));
    struct gcm gcm;
    gcm_set(&gcm, span_const(iv), aad);
    err_t err = encrypt(session, key, &gcm, data, sealed);
    if (!failed(err) && !span_equal(span_const(iv), span_of(given, sizeof(given)))) {
        err = FAIL(E_UNSUPPORTED, "the token replaced the host's IV");
    }
    if (failed(err)) {
        secret_wipe(out.ptr, out.len);
        return err;
    }
    *ret_len = len;
    return OK;
}

static err_t decrypt(const struct session *session, CK_OBJECT_HANDLE key, struct gcm *gcm,
                     struct span sealed, struct span_mut out)
{
    CK_ULONG len = out.len;
    status_count_call();
    RV_TRY(P11(session->module, C_DecryptInit, session->handle, &gcm->mechanism, key),
           "C_DecryptInit");
    RV_TRY(P11(session->module, C_Decrypt, session->handle, p11_bytes(sealed), sealed.len, out.ptr,
               &len),
           "C_Decrypt");
    if (len != sealed.len - TAG_LEN) {
        return LIE("C_Decrypt of AES-GCM gave another length than its input has", len);
    }
    return OK;
}

err_t unwrap_gcm(const struct session *session, CK_OBJECT_HANDLE key, struct span aad,
                 struct span wrapped, struct span_mut out, size_t *ret_len)
{
    struct cursor c = cursor_of(wrapped);
    uint8_t iv_len = cursor_u8(&c);
    struct span iv = cursor_bytes(&c, iv_len);
    struct span sealed = c.rest;
    if (c.bad || (iv_len != IV_LEN && iv_len != IV_LEN_LONG) || sealed.len <= TAG_LEN ||
        sealed.len > out.len) {
        return FAIL(E_INVALID, "malformed wrapped bytes");
    }
    struct gcm gcm;
    gcm_set(&gcm, iv, aad);
    err_t err = decrypt(session, key, &gcm, sealed, out);
    if (failed(err)) {
        secret_wipe(out.ptr, out.len);
        return err;
    }
    *ret_len = sealed.len - TAG_LEN;
    return OK;
}

err_t wrap_canary_make(const struct session *session, CK_OBJECT_HANDLE key,
                       struct wrap_canary *ret_canary)
{
    size_t len;
    return wrap_gcm(session, key, span_of_text(canary_aad),
                    span_of(canary_text, sizeof(canary_text)),
                    span_mut_of(ret_canary->bytes, sizeof(ret_canary->bytes)), &len);
}

err_t wrap_canary_open(const struct session *session, CK_OBJECT_HANDLE key,
                       const struct wrap_canary *canary, bool flip)
{
    uint8_t aad[sizeof(canary_aad) - 1];
    uint8_t out[WRAP_CANARY_LEN];
    size_t len = 0;
    span_move(aad, canary_aad, sizeof(aad));
    aad[0] ^= flip ? 1 : 0;
    TRY(unwrap_gcm(session, key, span_of(aad, sizeof(aad)),
                   span_of(canary->bytes, sizeof(canary->bytes)), span_mut_of(out, sizeof(out)),
                   &len));
    if (!span_equal(span_of(out, len), span_of(canary_text, sizeof(canary_text)))) {
        return FAIL(E_CRYPTO, "the canary opened to something else");
    }
    return OK;
}
