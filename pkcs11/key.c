#include "pkcs11/key.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "pkcs11/audit.h"
#include "pkcs11/rv.h"

#define BLOCK 16u

bool key_is_of_ring(const char *label, const char *ring)
{
    char prefix[32];
    int n = snprintf(prefix, sizeof(prefix), "p11k:%s:", ring);
    return n > 0 && (size_t)n < sizeof(prefix) && strncmp(label, prefix, (size_t)n) == 0;
}

bool key_is_managed(const char *label)
{
    return strncmp(label, "p11k:", 5) == 0;
}

bool key_ref_equal(const struct ipc_key_ref *a, const struct ipc_key_ref *b)
{
    return span_equal(span_of(a->id, a->id_len), span_of(b->id, b->id_len)) &&
           span_equal(span_of(a->fingerprint, a->fingerprint_len),
                      span_of(b->fingerprint, b->fingerprint_len));
}

/* *ret_len 0 for an attribute that is absent; E_LIMIT when it is longer than room. */
static err_t read_bytes(const struct session *session, CK_OBJECT_HANDLE handle,
                        CK_ATTRIBUTE_TYPE type, struct span_mut room, size_t *ret_len)
{
    CK_ATTRIBUTE attribute = {type, NULL, 0};
    CK_RV rv = P11(session->module, C_GetAttributeValue, session->handle, handle, &attribute, 1);
    if (rv_is_no_attribute(rv)) {
        *ret_len = 0;
        return OK;
    }
    RV_TRY(rv, "C_GetAttributeValue");
    if (attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION || attribute.ulValueLen == 0) {
        *ret_len = 0;
        return OK;
    }
    if (attribute.ulValueLen > room.len) {
        return FAIL(E_LIMIT, "attribute longer than we keep");
    }
    attribute.pValue = room.ptr;
    RV_TRY(P11(session->module, C_GetAttributeValue, session->handle, handle, &attribute, 1),
           "C_GetAttributeValue");
    *ret_len = attribute.ulValueLen <= room.len ? attribute.ulValueLen : 0;
    return OK;
}

err_t key_read_name(const struct session *session, CK_OBJECT_HANDLE handle, struct key *ret_key)
{
    struct key key = {.handle = handle};
    uint8_t label[256];
    size_t label_len = 0;
    size_t id_len = 0;
    err_t err = read_bytes(session, handle, CKA_LABEL, span_mut_of(label, sizeof(label)), &label_len);
    if (failed(err) && err.code != E_LIMIT) {
        return err;
    }
    err = read_bytes(session, handle, CKA_ID, span_mut_of(key.info.ref.id, IPC_ID_MAX), &id_len);
    if (failed(err) && err.code != E_LIMIT) {
        return err;
    }
    find_text(key.info.label, sizeof(key.info.label), span_of(label, label_len));
    key.info.ref.id_len = (uint8_t)id_len;
    key.info.state = id_len == 0 ? IPC_KEY_NO_ID : IPC_KEY_UNREADABLE;
    (void)snprintf(key.info.serial, sizeof(key.info.serial), "%s", session->token->serial);
    (void)snprintf(key.info.token, sizeof(key.info.token), "%s", session->token->label);
    *ret_key = key;
    return OK;
}

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

err_t key_read_fingerprint(const struct session *session, struct key *key)
{
    uint8_t iv[BLOCK];
    uint8_t zero[BLOCK] = {0};
    uint8_t out[2 * BLOCK];
    CK_ULONG len = sizeof(out);
    TRY(fingerprint_iv(iv));
    CK_MECHANISM mechanism = {CKM_AES_CBC, iv, sizeof(iv)};
    RV_TRY(P11(session->module, C_EncryptInit, session->handle, &mechanism, key->handle),
           "C_EncryptInit");
    RV_TRY(P11(session->module, C_Encrypt, session->handle, zero, sizeof(zero), out, &len),
           "C_Encrypt");
    if (len != BLOCK) {
        return FAIL(E_UNSUPPORTED, "AES-CBC output of another length than its input");
    }
    span_move(key->info.ref.fingerprint, out, BLOCK);
    key->info.ref.fingerprint_len = BLOCK;
    return OK;
}

/* True when it is this key's own fault. */
static bool of_the_key(err_t err)
{
    enum rv_class class = rv_class_of(err);
    return err.code != E_TOKEN || class == RV_FAULT || class == RV_DATA || class == RV_OUTAGE;
}

static err_t read_all(const struct session *session, struct key *key, bool probe)
{
    struct audit audit = {0};
    err_t err = audit_attributes(session, key->handle, &audit);
    if (!failed(err)) {
        err = key_read_fingerprint(session, key);
    }
    if (!failed(err) && probe && (audit.bad & IPC_ATTR_DECRYPT) == 0) {
        err = audit_aad(session, key->handle, &audit, &key->canary);
        key->has_canary = !failed(err);
    }
    key->info.bad = audit.bad;
    key->info.not_reported = audit.not_reported;
    return err;
}

err_t key_read_rest(const struct session *session, struct key *key, bool probe)
{
    if (key->info.ref.id_len == 0) {
        return OK;
    }
    err_t err = read_all(session, key, probe);
    if (failed(err) && !of_the_key(err)) {
        return err;
    }
    key->info.state = failed(err) ? IPC_KEY_UNREADABLE : IPC_KEY_READ;
    key->info.rv = err.code == E_TOKEN ? err.detail : 0;
    return OK;
}
