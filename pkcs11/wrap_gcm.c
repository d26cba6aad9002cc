#include "pkcs11/wrap_gcm.h"

#include <sys/random.h>

#include "base/secret.h"
#include "keys/envelope.h"
#include "pkcs11/lie.h"
#include "pkcs11/make.h"
#include "pkcs11/rv.h"
#include "pkcs11/status.h"
#include "pkcs11/wrap_aes.h"

#define IV_LEN      12u
#define IV_LEN_LONG 16u
#define TAG_LEN     16u

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

static err_t encrypt(const struct session *session, const struct wrap_kek *kek, struct gcm *gcm,
                     struct span data, struct span_mut out)
{
    CK_ULONG len = out.len;
    status_count_call();
    RV_TRY(P11(session->module, C_EncryptInit, session->handle, &gcm->mechanism, kek->handles[0]),
           "C_EncryptInit");
    RV_TRY(
        P11(session->module, C_Encrypt, session->handle, p11_bytes(data), data.len, out.ptr, &len),
        "C_Encrypt");
    if (len != data.len + TAG_LEN) {
        return LIE("C_Encrypt of AES-GCM gave another length than data and tag have", len);
    }
    return OK;
}

static err_t wrap(const struct session *session, const struct wrap_kek *kek, struct span aad,
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
    err_t err = encrypt(session, kek, &gcm, data, sealed);
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

static err_t decrypt(const struct session *session, const struct wrap_kek *kek, struct gcm *gcm,
                     struct span sealed, struct span_mut out)
{
    CK_ULONG len = out.len;
    status_count_call();
    RV_TRY(P11(session->module, C_DecryptInit, session->handle, &gcm->mechanism, kek->handles[0]),
           "C_DecryptInit");
    RV_TRY(P11(session->module, C_Decrypt, session->handle, p11_bytes(sealed), sealed.len, out.ptr,
               &len),
           "C_Decrypt");
    if (len != sealed.len - TAG_LEN) {
        return LIE("C_Decrypt of AES-GCM gave another length than its input has", len);
    }
    return OK;
}

static err_t unwrap(const struct session *session, const struct wrap_kek *kek, struct span aad,
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
    err_t err = decrypt(session, kek, &gcm, sealed, out);
    if (failed(err)) {
        secret_wipe(out.ptr, out.len);
        return err;
    }
    *ret_len = sealed.len - TAG_LEN;
    return OK;
}

/* A wrong tag; or CKR_GENERAL_ERROR, which SoftHSM says for it, and which may be an outage. */
static bool is_refusal(err_t err)
{
    return rv_is_of(err, "C_Decrypt");
}

static err_t generate(const struct session *session, const struct wrap_new *what,
                      CK_OBJECT_HANDLE ret_handles[WRAP_OBJECTS_MAX])
{
    return make_secret_key(session, CKM_AES_KEY_GEN, &wrap_aes_key, what, &ret_handles[0]);
}

static const struct wrap_mechanism needs[] = {
    {CKM_AES_KEY_GEN, IPC_MECHANISM_AES_KEY_GEN},
    {CKM_AES_GCM, IPC_MECHANISM_AES_GCM},
    {CKM_AES_CBC, IPC_MECHANISM_AES_CBC}, /* of the fingerprint */
};

const struct wrap_scheme wrap_gcm = {.number = ENVELOPE_AES_GCM,
                                     .objects_n = 1,
                                     .objects = {&wrap_aes_key},
                                     .needs = needs,
                                     .needs_n = sizeof(needs) / sizeof(needs[0]),
                                     .generate = generate,
                                     .fingerprint = wrap_aes_fingerprint,
                                     .wrap = wrap,
                                     .unwrap = unwrap,
                                     .is_refusal = is_refusal};
