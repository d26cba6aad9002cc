#include "pkcs11/key.h"

#include <stdio.h>

#include "keys/ring_label.h"
#include "pkcs11/activation.h"
#include "pkcs11/audit.h"
#include "pkcs11/lie.h"
#include "pkcs11/rv.h"

#define VALUE_MAX 4096u /* of an attribute; what says that it is longer is not believed */

bool key_is_managed(const struct key *key)
{
    return ring_label_ours(span_of_text(key->info.label));
}

bool key_ref_equal(const struct ipc_key_ref *a, const struct ipc_key_ref *b)
{
    return a->scheme == b->scheme &&
           span_equal(span_of(a->id, a->id_len), span_of(b->id, b->id_len)) &&
           span_equal(span_of(a->fingerprint, a->fingerprint_len),
                      span_of(b->fingerprint, b->fingerprint_len));
}

/* *ret_len 0 for an attribute that is absent or empty. E_PROTOCOL: a length that cannot be. */
static err_t read_bytes(const struct session *session, CK_OBJECT_HANDLE handle,
                        CK_ATTRIBUTE_TYPE type, struct span_mut room, size_t *ret_len)
{
    CK_ATTRIBUTE attribute = {type, room.ptr, room.len};
    err_t err = find_attribute(session, handle, &attribute);
    if (err.code == E_TOKEN && rv_is_no_attribute(err.detail)) {
        *ret_len = 0;
        return OK;
    }
    TRY(err);
    if (attribute.ulValueLen > room.len) {
        return LIE("C_GetAttributeValue gave a label or CKA_ID longer than its room",
                   attribute.ulValueLen);
    }
    *ret_len = attribute.ulValueLen;
    return OK;
}

/* IPC_KEY_UNREADABLE when its length is nonsense: what the attribute holds is not known then. */
static err_t read_label(const struct session *session, struct key *key)
{
    uint8_t label[VALUE_MAX];
    size_t len = 0;
    struct span_mut room = span_mut_of(label, sizeof(label));
    err_t err = read_bytes(session, key->kek.handles[0], CKA_LABEL, room, &len);
    if (err.code == E_PROTOCOL) {
        key->info.state = IPC_KEY_UNREADABLE;
        return OK;
    }
    TRY(err);
    find_text(key->info.label, sizeof(key->info.label), span_of(label, len));
    key->info.activation = activation_of_label(key->info.label);
    return OK;
}

/* An id that is longer than ours can be is one that no KEK has, like none at all. */
static err_t read_id(const struct session *session, struct key *key)
{
    uint8_t id[VALUE_MAX];
    size_t len = 0;
    err_t err = read_bytes(session, key->kek.handles[0], CKA_ID, span_mut_of(id, sizeof(id)), &len);
    if (failed(err) && err.code != E_PROTOCOL) {
        return err;
    }
    bool fits = !failed(err) && len > 0 && len <= IPC_ID_MAX;
    if (fits) {
        span_move(key->info.ref.id, id, len);
        key->info.ref.id_len = (uint8_t)len;
    }
    key->info.state = failed(err) || fits ? IPC_KEY_UNREADABLE : IPC_KEY_NO_ID;
    return OK;
}

err_t key_read_name(const struct session *session, const struct wrap_kek *kek, struct key *ret_key)
{
    struct key key = {.kek = *kek};
    TRY(read_label(session, &key));
    if (key.info.state != IPC_KEY_UNREADABLE) {
        TRY(read_id(session, &key));
    }
    (void)snprintf(key.info.serial, sizeof(key.info.serial), "%s", session->token->serial);
    (void)snprintf(key.info.token, sizeof(key.info.token), "%s", session->token->label);
    *ret_key = key;
    return OK;
}

bool key_is_nameless(const struct key *key)
{
    return key->info.state == IPC_KEY_UNREADABLE && key->info.ref.id_len == 0;
}

static err_t look(const struct session *session, const struct wrap_kek *kek,
                  uint8_t ret_bytes[IPC_FINGERPRINT_MAX], uint8_t *ret_len)
{
    err_t err = kek->scheme->fingerprint(session, kek, ret_bytes, ret_len);
    return rv_may_pass(err) ? kek->scheme->fingerprint(session, kek, ret_bytes, ret_len) : err;
}

/* Twice: by this the key is known everywhere, and one wrong answer would make another key of it. */
err_t key_read_fingerprint(const struct session *session, struct key *key)
{
    uint8_t first[IPC_FINGERPRINT_MAX];
    uint8_t second[IPC_FINGERPRINT_MAX];
    uint8_t first_len = 0;
    uint8_t second_len = 0;
    TRY(look(session, &key->kek, first, &first_len));
    TRY(look(session, &key->kek, second, &second_len));
    if (!span_equal(span_of(first, first_len), span_of(second, second_len))) {
        return FAIL(E_UNSUPPORTED, "the token gives two fingerprints of one key");
    }
    span_move(key->info.ref.fingerprint, first, first_len);
    key->info.ref.fingerprint_len = first_len;
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
    err_t err = audit_attributes(session, &key->kek, &audit);
    if (!failed(err)) {
        err = key_read_fingerprint(session, key);
    }
    if (!failed(err) && probe && (audit.bad & IPC_ATTR_DECRYPT) == 0) {
        err = audit_aad(session, &key->kek, &audit, &key->canary);
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
    err_t err = wrap_complete(session, span_of(key->info.ref.id, key->info.ref.id_len), &key->kek);
    key->info.ref.scheme = key->kek.scheme->number;
    if (!failed(err)) {
        err = read_all(session, key, probe);
    }
    if (failed(err) && !of_the_key(err)) {
        return err;
    }
    key->info.state = failed(err) ? IPC_KEY_UNREADABLE : IPC_KEY_READ;
    key->info.rv = err.code == E_TOKEN ? err.detail : 0;
    return OK;
}
