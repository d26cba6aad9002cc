#include "server/kms/refused.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "keys/key_id.h"

void refused_begin(struct refused *refused)
{
    refused->text[0] = '\0';
}

/* True when it was not said before. A full table says no more: its owner has bigger troubles. */
static bool note(struct refused *refused, const uint8_t kek_id[KEK_ID_LEN], uint32_t faults)
{
    for (size_t i = 0; i < refused->said_n; i++) {
        if (span_equal(span_of(refused->said[i].kek_id, KEK_ID_LEN), span_of(kek_id, KEK_ID_LEN))) {
            bool changed = refused->said[i].faults != faults;
            refused->said[i].faults = faults;
            return changed;
        }
    }
    if (refused->said_n == REFUSED_MAX) {
        return false;
    }
    span_move(refused->said[refused->said_n].kek_id, kek_id, KEK_ID_LEN);
    refused->said[refused->said_n++].faults = faults;
    return true;
}

/* The same for a key that only its label names. */
static bool note_nameless(struct refused *refused, const char *label, enum listing_place place)
{
    size_t at = 0;
    while (at < refused->nameless_n && strcmp(refused->nameless[at].label, label) != 0) {
        at++;
    }
    if (at == REFUSED_MAX || (at < refused->nameless_n && refused->nameless[at].place == place)) {
        return false;
    }
    (void)snprintf(refused->nameless[at].label, sizeof(refused->nameless[at].label), "%s", label);
    refused->nameless[at].place = place;
    refused->nameless_n += at == refused->nameless_n ? 1 : 0;
    return true;
}

static void ignore(struct refused *refused, const struct ipc_key *key)
{
    if (note_nameless(refused, key->label, LISTING_BROKEN)) {
        const err_t why =
            FAIL(E_INVALID, "a label of this ring that does not read p11k:<ring>:<8 hex>:<8 hex>");
        log_event(EVENT_KEY_IGNORED, LOG_TEXT("label", key->label), LOG_ERR(why));
    }
}

static void refuse(struct refused *refused, const struct ipc_key *key,
                   const struct listing_key *judged)
{
    const struct ring_key *ring = &judged->ring;
    char hex[2 * KEK_ID_LEN + 1] = "";
    char faults[240];
    listing_faults(key, faults, sizeof(faults));
    bool named = ring_has_id(ring);
    if (named) {
        key_id_hex(span_of(ring->kek_id, KEK_ID_LEN), hex);
    }
    if (named ? note(refused, ring->kek_id, judged->faults)
              : note_nameless(refused, key->label, judged->place)) {
        log_event(EVENT_KEY_REFUSED, LOG_TEXT("kek_id", hex), LOG_TEXT("label", key->label),
                  LOG_TEXT("attributes", faults));
    }
    if (refused->text[0] == '\0' || ring_compare(ring, &refused->best) > 0) {
        refused->best = *ring;
        (void)snprintf(refused->text, sizeof(refused->text), "KEK %s (%.100s)",
                       named ? hex : key->label, faults);
    }
}

void refused_take(struct refused *refused, const struct ipc_key *key,
                  const struct listing_key *judged)
{
    if (judged->place == LISTING_BROKEN) {
        ignore(refused, key);
    } else if (judged->place == LISTING_IN_RING && judged->ring.verdict == RING_BAD) {
        refuse(refused, key, judged);
    }
}
