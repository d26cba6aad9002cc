#include "server/kms/kept.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/kms/remember.h"

#define PUT_SEEDS_MS 1000
#define PUT_AGAIN_MS 20000 /* after one that failed */
#define NO_NUMBER    1     /* the keeper gave no reason but its words */

void kept_init(struct kept *kept, const struct kms_outputs *outputs,
               const uint8_t realm[ENVELOPE_REALM])
{
    *kept = (struct kept){.outputs = *outputs};
    span_move(kept->realm, realm, ENVELOPE_REALM);
}

void kept_remember(struct kept *kept, struct span bytes)
{
    struct state_current record;
    err_t err = state_current_parse(bytes, &record);
    if (failed(err)) {
        log_event(EVENT_STATE_IGNORED, LOG_TEXT("file", "current"), LOG_ERR(err));
        return;
    }
    kept->has_current = true;
    kept->current = (struct ring_key){
        .not_before = record.not_before, .created = record.created, .verdict = RING_GOOD};
    span_move(kept->current.kek_id, record.kek_id, KEK_ID_LEN);
}

const struct ring_key *kept_current(const struct kept *kept)
{
    return kept->has_current ? &kept->current : NULL;
}

void kept_seeds_changed(struct kept *kept)
{
    kept->seeds_dirty = true;
}

static void keep_current(struct kept *kept, const struct ring_key *newest)
{
    if (newest == NULL || (kept->has_current && ring_same(newest, &kept->current))) {
        return;
    }
    struct state_current record = {.not_before = newest->not_before, .created = newest->created};
    span_move(record.kek_id, newest->kek_id, KEK_ID_LEN);
    uint8_t room[256];
    size_t len = 0;
    if (!failed(state_current_write(&record, span_mut_of(room, sizeof(room)), &len)) &&
        kept->outputs.put_state(kept->outputs.ctx, STATE_CURRENT, span_of(room, len))) {
        kept->has_current = true;
        kept->current = *newest;
    }
}

/* What is open, then what is still to be opened, while there is room. */
static void write_seeds(const struct kept *kept, const struct seeds *seeds,
                        const struct pending *pending, struct writer *w)
{
    size_t n = 0;
    remember_begin(w, kept->realm);
    const struct seed *seed = NULL;
    while ((seed = seeds_next(seeds, seed)) != NULL) {
        remember_put(w, &seed->name);
        n++;
    }
    size_t at = 0;
    const struct seed_name *name;
    while (n++ < SEEDS_MAX && (name = pending_each(pending, &at)) != NULL) {
        remember_put(w, name);
    }
}

_Static_assert(REMEMBER_MAX <= STATE_SIZE_MAX, "the seeds fit into their file");

static void keep_seeds(struct kept *kept, const struct seeds *seeds, const struct pending *pending,
                       int64_t boot_ms)
{
    bool due = kept->seeds_put_ms == 0 || boot_ms - kept->seeds_put_ms >= PUT_SEEDS_MS;
    if (!kept->seeds_dirty || !due) {
        return;
    }
    CLEANUP(own_free_p) uint8_t *room = malloc(REMEMBER_MAX);
    if (room == NULL) {
        return;
    }
    struct writer w = writer_of(span_mut_of(room, REMEMBER_MAX));
    write_seeds(kept, seeds, pending, &w);
    kept->seeds_dirty = !kept->outputs.put_state(kept->outputs.ctx, STATE_SEEDS, writer_done(&w));
    kept->seeds_put_ms = boot_ms;
}

void kept_tick(struct kept *kept, const struct ring_key *newest, const struct seeds *seeds,
               const struct pending *pending, int64_t boot_ms)
{
    if (boot_ms >= kept->from_ms) {
        keep_current(kept, newest);
        keep_seeds(kept, seeds, pending, boot_ms);
    }
}

static unsigned long reason_of(err_t err)
{
    if (!failed(err)) {
        return 0;
    }
    return err.detail == 0 ? (unsigned long)err.code : err.detail;
}

static void say_stored(struct kept *kept, enum state_file file, err_t err)
{
    unsigned long *said = &kept->not_stored[file];
    unsigned long why = reason_of(err);
    if (why != 0 && *said != why) {
        log_event(EVENT_STATE_NOT_KEPT, LOG_NUM("file", file), LOG_ERR(err));
    } else if (why == 0 && *said != 0) {
        log_event(EVENT_STATE_KEPT_AGAIN, LOG_NUM("file", file));
    }
    *said = why;
}

void kept_stored(struct kept *kept, enum state_file file, err_t err, int64_t boot_ms)
{
    say_stored(kept, file, err);
    if (!failed(err)) {
        return;
    }
    kept->has_current = kept->has_current && file != STATE_CURRENT;
    kept->seeds_dirty = kept->seeds_dirty || file == STATE_SEEDS;
    kept->from_ms = boot_ms + PUT_AGAIN_MS;
}

static bool all_stored(const struct kept *kept)
{
    unsigned long any = 0;
    for (size_t i = 0; i <= STATE_FILES; i++) {
        any |= kept->not_stored[i];
    }
    return any == 0;
}

bool kept_storing(struct kept *kept, unsigned what, const char *why)
{
    bool takes = why[0] == '\0';
    unsigned long *reason = &kept->not_stored[what];
    *reason = takes ? 0 : (*reason == 0 ? NO_NUMBER : *reason);
    if (!takes || all_stored(kept)) {
        (void)snprintf(kept->trouble, sizeof(kept->trouble), "%s", why);
    }
    if (!takes || what != STATE_FILES) {
        return false;
    }
    kept->has_current = false;
    kept->seeds_dirty = true;
    kept->from_ms = 0;
    return true;
}
