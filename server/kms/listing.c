#include "server/kms/listing.h"

#include <stdbool.h>

#include "keys/key_id.h"

err_t listing_kek_id(const struct ipc_key *key, uint8_t ret_kek_id[KEK_ID_LEN])
{
    const struct ipc_key_ref *ref = &key->ref;
    if (ref->fingerprint_len == 0) {
        return FAIL(E_INVALID, "the fingerprint of a key is not known");
    }
    return key_id_kek(key->scheme, span_of(ref->id, ref->id_len),
                      span_of(ref->fingerprint, ref->fingerprint_len), ret_kek_id);
}

err_t listing_ring_key(const struct ipc_key *key, const struct config *config,
                       struct ring_key *ret_key)
{
    struct ring_key ring_key = {.verdict = RING_UNKNOWN};
    if (ipc_key_unnamed(key)) {
        *ret_key = ring_key;
        return OK;
    }
    if (!ipc_key_of_ring(key, config->ring)) {
        return FAIL(E_NOT_FOUND, "not a key of this ring");
    }
    if (key->activation.by == IPC_BY_BROKEN_LABEL) {
        return FAIL(E_INVALID,
                    "a label of this ring that does not read p11k:<ring>:<8 hex>:<8 hex>");
    }
    ring_key.not_before = key->activation.not_before;
    ring_key.created = key->activation.created;
    if (key->state == IPC_KEY_NO_ID) {
        return FAIL(E_INVALID,
                    "a key of this ring has a CKA_ID that is empty or longer than 64 bytes");
    }
    bool named = !failed(listing_kek_id(key, ring_key.kek_id));
    if (named && key->state == IPC_KEY_READ) {
        bool waived = config_waives(&config->tokens[0], ring_key.kek_id);
        ring_key.verdict = ipc_key_faults(key, waived) == 0 ? RING_GOOD : RING_BAD;
    }
    *ret_key = ring_key;
    return OK;
}
