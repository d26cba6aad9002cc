#include "server/kms/listing.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "keys/key_id.h"

uint32_t listing_faults(const struct ipc_key *key)
{
    return (key->bad | key->not_reported) & ~(uint32_t)IPC_ATTR_REPORTED_ONLY;
}

err_t listing_kek_id(const struct ipc_key *key, uint8_t ret_kek_id[KEK_ID_LEN])
{
    const struct ipc_key_ref *ref = &key->ref;
    if (ref->fingerprint_len == 0) {
        return FAIL(E_INVALID, "the fingerprint of a key is not known");
    }
    return key_id_kek(ENVELOPE_AES_GCM, span_of(ref->id, ref->id_len),
                      span_of(ref->fingerprint, ref->fingerprint_len), ret_kek_id);
}

static bool is_waived(const struct config *config, const uint8_t kek_id[KEK_ID_LEN])
{
    for (uint32_t i = 0; i < config->token.waive_n; i++) {
        if (span_equal(span_of(config->token.waive[i], KEK_ID_LEN), span_of(kek_id, KEK_ID_LEN))) {
            return true;
        }
    }
    return false;
}

static enum ring_verdict verdict_of(const struct ipc_key *key, const struct config *config,
                                    const uint8_t kek_id[KEK_ID_LEN])
{
    uint32_t faults = listing_faults(key);
    if (is_waived(config, kek_id)) {
        faults &= LISTING_NEVER_WAIVED;
    }
    return faults == 0 ? RING_GOOD : RING_BAD;
}

err_t listing_ring_key(const struct ipc_key *key, const struct config *config, struct ring_key *ret_key)
{
    struct ring_key ring_key = {.verdict = RING_UNKNOWN};
    TRY(ring_label_parse(span_of_text(key->label), config->ring, &ring_key.not_before,
                         &ring_key.created));
    if (key->state == IPC_KEY_NO_ID) {
        return FAIL(E_INVALID, "a key of this ring has an empty CKA_ID");
    }
    bool named = !failed(listing_kek_id(key, ring_key.kek_id));
    if (named && key->state == IPC_KEY_READ) {
        ring_key.verdict = verdict_of(key, config, ring_key.kek_id);
    }
    *ret_key = ring_key;
    return OK;
}

void listing_fault_names(uint32_t faults, char *ret_text, size_t size)
{
    size_t len = 0;
    ret_text[0] = '\0';
    for (uint32_t bit = 1; bit <= IPC_ATTR_MODIFIABLE; bit <<= 1) {
        if ((faults & bit) == 0) {
            continue;
        }
        int n = snprintf(ret_text + len, size - len, "%s%s", len == 0 ? "" : ", ",
                         ipc_attribute_name(bit));
        if (n < 0 || (size_t)n >= size - len) {
            return;
        }
        len += (size_t)n;
    }
}
