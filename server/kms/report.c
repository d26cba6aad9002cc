#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/state.h"
#include "server/kms/remember.h"
#include "server/kms/store.h"

#define PUT_HEALTH_MS 20000
#define PUT_STALE_MS  1000 /* a new state is written at once, a new mend or key_id in this pace */
#define PUT_SEEDS_MS  1000
#define PUT_AGAIN_MS  20000 /* after one that failed */

struct health_policy report_policy(const struct config *config)
{
    struct health_policy policy = {.coast_ms = (int64_t)config->coast_s * 1000,
                                   .soft_ms = (int64_t)config->soft_max_s * 1000};
    if (config->on_token_loss != CONFIG_LOSS_COAST) {
        policy.coast_ms = 0;
    }
    if (config->on_token_loss == CONFIG_LOSS_HARD) {
        policy.soft_ms = 0;
        policy.hard_on_loss = true;
    }
    return policy;
}

static int64_t proof_age_ms(const struct store *store, struct times now)
{
    const struct rotation_view *view = &store->rotation.view;
    const struct proof *proof =
        view->has_serving ? prover_find(&store->prover, &view->serving) : NULL;
    return proof == NULL || proof->write == NULL ? -1 : now.boot_ms - proof->proven_ms;
}

struct health_facts report_facts(const struct store *store, struct times now)
{
    const struct rotation_view *view = &store->rotation.view;
    const struct report *report = &store->report;
    return (struct health_facts){
        .proof_age_ms = proof_age_ms(store, now),
        .bad_verdict = view->verdict != ROTATION_FINE,
        .hard_remembered = report->hard_remembered,
        .older_than_remembered = view->older_than_remembered,
        .key_remembered = view->has_remembered,
        .outage_remembered_ms =
            report->outage_s == 0 ? -1 : (now.real_s - report->outage_s) * 1000,
    };
}

enum health_state report_state(const struct store *store, struct times now)
{
    const struct health_policy policy = report_policy(&store->config);
    const struct health_facts facts = report_facts(store, now);
    return health_evaluate(&policy, &facts);
}

static struct mend_facts mend_facts(const struct store *store, struct times now)
{
    return (struct mend_facts){
        .config = &store->config,
        .token = client_status(store->client),
        .view = &store->rotation.view,
        .state = report_state(store, now),
        .unread = store->unread.text,
        .refused = store->refused.text,
        .storing = store->report.storing,
    };
}

void report_mend(const struct store *store, struct times now, char *ret_text, size_t size)
{
    const struct mend_facts facts = mend_facts(store, now);
    mend_text(&facts, ret_text, size);
}

static bool seed_outlived(const struct store *store, struct times now)
{
    const struct proof *proof =
        store->snapshot.write != NULL ? prover_find(&store->prover, &store->snapshot.key) : NULL;
    return proof != NULL && proof->write != NULL &&
           prover_seed_age_s(proof, now.boot_ms) >= (int64_t)store->config.seed_life_s;
}

/* The mend, or while all is well for Kubernetes what is not well for the operator. */
static void full_mend(const struct store *store, struct times now, char *ret_text, size_t size)
{
    const struct mend_facts facts = mend_facts(store, now);
    const struct mend_ailments ailments = {
        .seed_outlived = seed_outlived(store, now),
        .listing_outlived = store->rotation.listed &&
                            now.boot_ms - store->rotation.listed_ms >= MEND_LISTING_MS,
        .limit = limits_text(&store->limits),
    };
    mend_text(&facts, ret_text, size);
    if (ret_text[0] == '\0') {
        mend_ailment(&facts, &ailments, ret_text, size);
    }
}

void report_key_id(const struct store *store, char ret_text[KEY_ID_TEXT_LEN + 1])
{
    const struct rotation_view *view = &store->rotation.view;
    ret_text[0] = '\0';
    if (store->snapshot.write != NULL) {
        (void)snprintf(ret_text, KEY_ID_TEXT_LEN + 1, "%s", store->snapshot.key_id);
    } else if (view->has_remembered) {
        key_id_text(view->remembered.kek_id, view->remembered.not_before, ret_text);
    }
}

void report_remember(struct store *store, struct span bytes)
{
    struct state_health record;
    err_t err = state_health_parse(bytes, &record);
    if (failed(err)) {
        log_event(EVENT_STATE_IGNORED, LOG_TEXT("file", "health"), LOG_ERR(err));
        return;
    }
    store->report.hard_remembered = strcmp(record.state, "HARD") == 0;
    store->report.outage_s = record.outage_s;
}

/* When the running outage began: with the last proof, or before this process, or with it. */
static int64_t outage_since_s(const struct store *store, enum health_state state, struct times now)
{
    int64_t age_ms = proof_age_ms(store, now);
    if (state == HEALTH_OK) {
        return 0;
    }
    if (age_ms >= 0) {
        return now.real_s - age_ms / 1000;
    }
    return store->report.outage_s != 0 ? store->report.outage_s : now.real_s;
}

static void put_health(struct store *store, const char *mend, struct times now)
{
    struct state_health record = {.since_s = store->report.since_s,
                                  .outage_s = store->report.outage_s,
                                  .written_s = now.real_s};
    (void)snprintf(record.state, sizeof(record.state), "%s",
                   health_state_name(store->report.state));
    (void)snprintf(record.mend, sizeof(record.mend), "%s", mend);
    report_key_id(store, record.key_id);
    uint8_t room[1024];
    size_t len = 0;
    if (!failed(state_health_write(&record, span_mut_of(room, sizeof(room)), &len))) {
        (void)store->outputs.put_state(store->outputs.ctx, STATE_HEALTH, span_of(room, len));
    }
    store->report.put_ms = now.boot_ms;
    store->report.stale = false;
}

static void say_line(struct store *store, const char *mend)
{
    char line[sizeof(store->report.line)];
    char key_id[KEY_ID_TEXT_LEN + 1];
    report_key_id(store, key_id);
    const char *name = health_state_name(store->report.state);
    if (mend[0] == '\0') {
        (void)snprintf(line, sizeof(line), "%s: serving %s", name, key_id);
    } else {
        (void)snprintf(line, sizeof(line), "%s: %.240s", name, mend);
        span_end_whole(line);
    }
    if (strcmp(line, store->report.line) != 0) {
        (void)snprintf(store->report.line, sizeof(store->report.line), "%s", line);
        store->outputs.on_line(store->outputs.ctx, line);
    }
}

static void say_state(const struct store *store, enum health_state state, const char *mend)
{
    const char *from = store->report.said ? health_state_name(store->report.state) : "-";
    enum log_level level = state == HEALTH_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;
    const struct log_field fields[] = {
        LOG_TEXT("from", from), LOG_TEXT("to", health_state_name(state)), LOG_TEXT("mend", mend)};
    log_event_write(level, EVENT_STATE_CHANGED, fields, sizeof(fields) / sizeof(fields[0]));
}

static void note_key_id(struct store *store)
{
    char key_id[KEY_ID_TEXT_LEN + 1];
    report_key_id(store, key_id);
    store->report.stale |= strcmp(key_id, store->report.key_id) != 0;
    (void)snprintf(store->report.key_id, sizeof(store->report.key_id), "%s", key_id);
}

/*
 * What an operator should do, when that becomes another thing; the token process logs its own
 * words.
 */
static void say_mend(struct store *store, const char *mend)
{
    struct report *report = &store->report;
    bool news = strcmp(mend, report->mend) != 0;
    bool of_token = strcmp(mend, client_status(store->client)->text) == 0;
    if (news && mend[0] != '\0' && !of_token) {
        log_event(EVENT_MEND, LOG_TEXT("text", mend));
    }
    report->stale |= news;
    (void)snprintf(report->mend, sizeof(report->mend), "%s", mend);
}

/* What deserves a look although the state may be OK; each is said when it begins. */
static void say_alarms(struct store *store)
{
    const struct rotation_view *view = &store->rotation.view;
    const struct {
        bool on;
        const char *text;
    } alarms[] = {
        {view->alarm_unproven, "the selected KEK could not be proven for 60 s"},
        {view->alarm_horizon, "a KEK is ignored: its not-before is more than 32 days ahead"},
        {view->alarm_unknown_above,
         "a KEK that could not be read ranks above the best readable one"},
        {view->clock_suspect, "every KEK of the ring becomes active only in the future"},
    };
    for (size_t i = 0; i < sizeof(alarms) / sizeof(alarms[0]); i++) {
        unsigned bit = 1u << i;
        if (alarms[i].on && (store->report.alarms & bit) == 0) {
            log_event(EVENT_ALARM, LOG_TEXT("text", alarms[i].text));
        }
        store->report.alarms =
            alarms[i].on ? store->report.alarms | bit : store->report.alarms & ~bit;
    }
}

static bool is_listed(const struct ring_key *keys, size_t n, size_t hint,
                      const struct ring_key *wanted)
{
    return (hint < n && ring_same(&keys[hint], wanted)) || ring_find(keys, n, wanted) != NULL;
}

void report_vanished(const struct store *store, const struct ring_key *keys, size_t n)
{
    const struct rotation *rotation = &store->rotation;
    for (size_t i = 0; i < rotation->keys_n; i++) {
        const struct ring_key *key = &rotation->keys[i];
        if (key->verdict != RING_UNKNOWN && !is_listed(keys, n, i, key)) {
            char key_id[KEY_ID_TEXT_LEN + 1];
            key_id_text(key->kek_id, key->not_before, key_id);
            log_event(EVENT_KEK_NOT_LISTED, LOG_TEXT("key_id", key_id));
        }
    }
}

void report_tick(struct store *store, struct times now)
{
    struct report *report = &store->report;
    enum health_state state = report_state(store, now);
    bool changed = !report->said || state != report->state;
    char mend[MEND_MAX];
    full_mend(store, now, mend, sizeof(mend));
    if (changed) {
        say_state(store, state, mend);
        (void)snprintf(report->mend, sizeof(report->mend), "%s", mend);
        report->said = true;
        report->state = state;
        report->since_s = now.real_s;
    }
    report->outage_s = outage_since_s(store, state, now);
    say_alarms(store);
    say_mend(store, mend);
    say_line(store, mend);
    note_key_id(store);
    if (changed || now.boot_ms - report->put_ms >= (report->stale ? PUT_STALE_MS : PUT_HEALTH_MS)) {
        put_health(store, mend, now);
    }
}

static void keep_current(struct store *store)
{
    const struct rotation_view *view = &store->rotation.view;
    if (!view->has_remembered ||
        (store->has_current && ring_same(&view->remembered, &store->current))) {
        return;
    }
    struct state_current record = {.not_before = view->remembered.not_before,
                                   .created = view->remembered.created};
    span_move(record.kek_id, view->remembered.kek_id, KEK_ID_LEN);
    uint8_t room[256];
    size_t len = 0;
    if (!failed(state_current_write(&record, span_mut_of(room, sizeof(room)), &len)) &&
        store->outputs.put_state(store->outputs.ctx, STATE_CURRENT, span_of(room, len))) {
        store->has_current = true;
        store->current = view->remembered;
    }
}

/* What is open, then what is still to be opened, while there is room. */
static void write_seeds(const struct store *store, struct writer *w)
{
    size_t n = 0;
    remember_begin(w, store->realm);
    const struct seed *seed = NULL;
    while ((seed = seeds_next(store->seeds, seed)) != NULL) {
        remember_put(w, &seed->name);
        n++;
    }
    size_t at = 0;
    const struct seed_name *name;
    while (n++ < SEEDS_MAX && (name = pending_each(&store->pending, &at)) != NULL) {
        remember_put(w, name);
    }
}

static void keep_seeds(struct store *store, struct times now)
{
    bool due = store->seeds_put_ms == 0 || now.boot_ms - store->seeds_put_ms >= PUT_SEEDS_MS;
    if (!store->seeds_dirty || !due) {
        return;
    }
    CLEANUP(own_free_p) uint8_t *room = malloc(REMEMBER_MAX);
    if (room == NULL) {
        return;
    }
    struct writer w = writer_of(span_mut_of(room, REMEMBER_MAX));
    write_seeds(store, &w);
    store->seeds_dirty =
        !store->outputs.put_state(store->outputs.ctx, STATE_SEEDS, writer_done(&w));
    store->seeds_put_ms = now.boot_ms;
}

static void say_stored(struct store *store, enum state_file file, err_t err)
{
    unsigned long *said = &store->report.not_stored[file];
    unsigned long why = failed(err) && err.detail == 0 ? (unsigned long)err.code : err.detail;
    if (failed(err) && *said != why) {
        log_event(EVENT_STATE_NOT_KEPT, LOG_NUM("file", file), LOG_ERR(err));
    } else if (!failed(err) && *said != 0) {
        log_event(EVENT_STATE_KEPT_AGAIN, LOG_NUM("file", file));
    }
    *said = failed(err) ? why : 0;
}

void report_storing(struct store *store, unsigned what, const char *why)
{
    struct report *report = &store->report;
    unsigned bit = 1u << what;
    report->not_kept = why[0] == '\0' ? report->not_kept & ~bit : report->not_kept | bit;
    if (why[0] != '\0' || report->not_kept == 0) {
        (void)snprintf(report->storing, sizeof(report->storing), "%s", why);
    }
    if (what == STATE_FILES && why[0] == '\0') {
        store->has_current = false;
        store->seeds_dirty = true;
        store->keep_from_ms = 0;
        report->stale = true;
    }
}

/* The health is written every 20 s anyway. */
void report_stored(struct store *store, enum state_file file, err_t err)
{
    say_stored(store, file, err);
    if (!failed(err)) {
        return;
    }
    store->has_current = store->has_current && file != STATE_CURRENT;
    store->seeds_dirty = store->seeds_dirty || file == STATE_SEEDS;
    store->keep_from_ms = clock_boot_ms() + PUT_AGAIN_MS;
}

void report_keep(struct store *store, struct times now)
{
    if (now.boot_ms >= store->keep_from_ms) {
        keep_current(store);
        keep_seeds(store, now);
    }
}
