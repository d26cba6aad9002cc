#include "server/kms/refused.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "keys/key_id.h"
#include "server/kms/listing.h"

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

void refused_take(struct refused *refused, const struct ipc_key *key,
                  const struct ring_key *ring_key)
{
    char hex[2 * KEK_ID_LEN + 1];
    char names[240];
    key_id_hex(span_of(ring_key->kek_id, KEK_ID_LEN), hex);
    ipc_attribute_names(ipc_key_faults(key, false), names, sizeof(names));
    if (note(refused, ring_key->kek_id, ipc_key_faults(key, false))) {
        log_event(EVENT_KEY_REFUSED, LOG_TEXT("kek_id", hex), LOG_TEXT("label", key->label),
                  LOG_TEXT("attributes", names));
    }
    if (refused->text[0] == '\0' || ring_compare(ring_key, &refused->best) > 0) {
        refused->best = *ring_key;
        (void)snprintf(refused->text, sizeof(refused->text), "KEK %s (%.100s)", hex, names);
    }
}

/* True when it was not said before, or for another reason. */
static bool note_ignored(struct refused *refused, const char *label, const char *why)
{
    size_t at = 0;
    while (at < refused->ignored_n && strcmp(refused->ignored[at].label, label) != 0) {
        at++;
    }
    if (at == REFUSED_MAX ||
        (at < refused->ignored_n && strcmp(refused->ignored[at].why, why) == 0)) {
        return false;
    }
    (void)snprintf(refused->ignored[at].label, sizeof(refused->ignored[at].label), "%s", label);
    refused->ignored[at].why = why;
    refused->ignored_n += at == refused->ignored_n ? 1 : 0;
    return true;
}

void refused_ignore(struct refused *refused, const struct ipc_key *key, err_t why)
{
    if (note_ignored(refused, key->label, why.what)) {
        log_event(EVENT_KEY_IGNORED, LOG_TEXT("label", key->label), LOG_ERR(why));
    }
}
