#include "token/listing.h"

#include <stdio.h>

#include "keys/key_id.h"

static uint32_t faults_of(const struct ipc_key *key)
{
    return (key->bad | key->not_reported) & ~(uint32_t)IPC_ATTR_REPORTED_ONLY;
}

err_t listing_kek_id(const struct ipc_key *key, uint8_t ret_kek_id[KEK_ID_LEN])
{
    const struct ipc_key_ref *ref = &key->ref;
    if (key->state == IPC_KEY_NO_ID || ref->id_len == 0 || ref->fingerprint_len == 0) {
        return FAIL(E_INVALID, "a key whose CKA_ID or fingerprint is not known");
    }
    return key_id_kek(ref->scheme, span_of(ref->id, ref->id_len),
                      span_of(ref->fingerprint, ref->fingerprint_len), ret_kek_id);
}

enum listing_place listing_place(const struct ipc_key *key, const char *ring)
{
    if (ipc_key_unnamed(key)) {
        return LISTING_UNNAMED;
    }
    if (!ipc_key_of_ring(key, ring)) {
        return LISTING_ELSEWHERE;
    }
    return key->activation.by == IPC_BY_BROKEN_LABEL ? LISTING_BROKEN : LISTING_IN_RING;
}

static enum ring_verdict verdict_of(const struct ipc_key *key, const struct listing_key *judged)
{
    if (key->state == IPC_KEY_NO_ID) {
        return RING_BAD;
    }
    if (key->state != IPC_KEY_READ || !ring_has_id(&judged->ring)) {
        return RING_UNKNOWN;
    }
    uint32_t left = judged->waived ? judged->faults & IPC_ATTR_NEVER_WAIVED : judged->faults;
    return left == 0 ? RING_GOOD : RING_BAD;
}

void listing_judge(const struct ipc_key *key, const char *ring, const struct config_token *token,
                   struct listing_key *ret_judged)
{
    struct listing_key judged = {.place = listing_place(key, ring), .faults = faults_of(key)};
    judged.ring.verdict = RING_UNKNOWN;
    if (judged.place == LISTING_IN_RING) {
        judged.ring.not_before = key->activation.not_before;
        judged.ring.created = key->activation.created;
        bool named = !failed(listing_kek_id(key, judged.ring.kek_id));
        judged.waived = named && key->state == IPC_KEY_READ && judged.faults != 0 &&
                        config_waives(token, judged.ring.kek_id);
        judged.ring.verdict = verdict_of(key, &judged);
    }
    *ret_judged = judged;
}

void listing_faults(const struct ipc_key *key, char *ret_text, size_t size)
{
    if (key->state == IPC_KEY_NO_ID) {
        (void)snprintf(ret_text, size, "CKA_ID is empty or longer than %u bytes", IPC_ID_MAX);
    } else {
        ipc_attribute_names(faults_of(key), ret_text, size);
    }
}
