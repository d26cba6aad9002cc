#include "server/kms/store.h"

#include <stdlib.h>

#include "base/log.h"

struct times store_now(const struct store *store)
{
    const struct rotation_view *view = &store->rotation.view;
    return times_now(view->has_remembered ? (int64_t)view->remembered.not_before : 0);
}

static void happened(struct store *store, enum call_event what)
{
    const struct call_wait wait = {.what = what};
    store->events.on_happened(store->events.ctx, &wait, OK);
}

static bool is_listed(const struct ring_key *keys, size_t n, size_t hint,
                      const struct ring_key *wanted)
{
    return (hint < n && ring_same(&keys[hint], wanted)) || ring_find(keys, n, wanted) != NULL;
}

/* Keys of the last listing that are not in this one. */
static void say_vanished(const struct rotation *rotation, const struct ring_key *keys, size_t n)
{
    for (size_t i = 0; i < rotation->keys_n; i++) {
        const struct ring_key *key = &rotation->keys[i];
        if (key->verdict != RING_UNKNOWN && ring_has_id(key) && !is_listed(keys, n, i, key)) {
            char key_id[KEY_ID_TEXT_LEN + 1];
            key_id_text(key->kek_id, key->not_before, key_id);
            log_event(EVENT_KEK_NOT_LISTED, LOG_TEXT("key_id", key_id));
        }
    }
}

static void on_listed(void *ctx, err_t err, bool all)
{
    struct store *store = ctx;
    struct times now = store_now(store);
    if (failed(err)) {
        rotation_list_failed(&store->rotation, now.boot_ms);
        return;
    }
    struct ring_key keys[ROTATION_KEYS_MAX];
    bool whole = false;
    size_t n = tokens_ring(&store->tokens, keys, &whole);
    say_vanished(&store->rotation, keys, n);
    store->rotation.in_part = !whole;
    rotation_listed(&store->rotation, keys, n, now.real_s, now.boot_ms);
    if (whole) {
        prover_keep_listed(&store->prover, store->rotation.keys, store->rotation.keys_n);
    }
    if (all) {
        happened(store, CALL_FOR_LISTING);
    }
}

/* Its seed is pinned only while its key is under proof. */
static void drop_lost_snapshot(struct store *store)
{
    if (store->snapshot.ready && prover_find(&store->prover, &store->snapshot.key) == NULL) {
        store->snapshot.ready = false;
        store->snapshot.write = NULL;
    }
}

/* The one place where what Status names and what Encrypt uses changes. */
static void swap_snapshot(struct store *store)
{
    const struct rotation_view *view = &store->rotation.view;
    const struct proof *proof =
        view->has_serving ? prover_find(&store->prover, &view->serving) : NULL;
    if (!proof_stands(proof)) {
        drop_lost_snapshot(store);
        return;
    }
    bool same = store->snapshot.ready && ring_same(&view->serving, &store->snapshot.key);
    if (same && proof->write == store->snapshot.write) {
        return;
    }
    struct snapshot fresh = {.ready = true, .key = view->serving, .write = proof->write};
    key_id_text(fresh.key.kek_id, fresh.key.not_before, fresh.key_id);
    if (!same) {
        log_event(EVENT_SERVING_SWITCHED, LOG_TEXT("from", store->snapshot.key_id),
                  LOG_TEXT("to", fresh.key_id));
    }
    store->snapshot = fresh;
    happened(store, CALL_FOR_PROOF);
}

static void take_proven(struct store *store, const struct ring_key *key, struct times now)
{
    struct rotation *rotation = &store->rotation;
    rotation_proven(rotation, key, now.real_s, now.boot_ms);
    if (rotation->view.has_serving && ring_same(&rotation->view.serving, key)) {
        report_proven(&store->report);
    }
    swap_snapshot(store);
}

static void on_proof(void *ctx, struct proof *proof, const struct client_reply *reply)
{
    struct store *store = ctx;
    struct times now = store_now(store);
    struct prover_news news = prover_reply(proof, reply, now);
    struct rotation *rotation = &store->rotation;
    bool serving = rotation->view.has_serving && ring_same(&rotation->view.serving, &news.key);
    if (news.first_failure) {
        char key_id[KEY_ID_TEXT_LEN + 1];
        key_id_text(news.key.kek_id, news.key.not_before, key_id);
        log_event(EVENT_PROOF_FAILED, LOG_TEXT("key_id", key_id), LOG_ERR(news.err));
    }
    switch (news.outcome) {
    case PROVER_PROVEN:
        if (news.made) {
            kept_seeds_changed(&store->kept);
        }
        take_proven(store, &news.key, now);
        break;
    case PROVER_WRONG:
        if (serving) {
            rotation_canary_wrong(rotation, now.boot_ms);
        }
        break;
    case PROVER_MISSING:
        if (serving) {
            rotation_list_failed(rotation, now.boot_ms);
        }
        break;
    case PROVER_FAILED:
    case PROVER_NOTHING:
    default:
        break;
    }
}

static void on_unwrapped(void *ctx, const struct unwrap *unwrap, const struct client_reply *reply)
{
    struct store *store = ctx;
    store_take_unwrap(store, unwrap, reply, store_now(store));
}

static void on_hung(void *ctx)
{
    struct store *store = ctx;
    store->outputs.on_hung(store->outputs.ctx);
}

static err_t build(struct store *store)
{
    const struct token_events events = {store, on_listed, on_unwrapped, on_hung};
    TRY(key_id_realm(store->config.ring, store->realm));
    report_init(&store->report, &store->outputs);
    kept_init(&store->kept, &store->outputs, store->realm);
    TRY(seal_new(&store->seal));
    TRY(seeds_new(SEEDS_MAX, &store->seeds));
    TRY(derived_new(store->config.derived_keys, &store->derived));
    TRY(negative_new(&store->negative));
    TRY(tokens_init(&store->tokens, &store->config, &events));
    store->prover = (struct prover){.events = {store, on_proof},
                                    .tokens = &store->tokens,
                                    .seal = store->seal,
                                    .seeds = store->seeds,
                                    .pending = &store->pending,
                                    .life_s = store->config.seed_life_s};
    span_move(store->prover.realm, store->realm, ENVELOPE_REALM);
    return OK;
}

err_t store_new(const struct config *config, const struct store_events *events,
                const struct kms_outputs *outputs, struct store **ret_store)
{
    CLEANUP(store_free_p) struct store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return FAIL_ERRNO("out of memory for the store");
    }
    store->config = *config;
    store->events = *events;
    store->outputs = *outputs;
    store->started_ms = clock_boot_ms();
    TRY(build(store));
    *ret_store = TAKE(store);
    return OK;
}

void store_free(struct store *store)
{
    if (store == NULL) {
        return;
    }
    prover_done(&store->prover);
    tokens_done(&store->tokens);
    pending_done(&store->pending);
    negative_free(store->negative);
    derived_free(store->derived);
    seeds_free(store->seeds);
    seal_free(store->seal);
    free(store);
}

void store_remember(struct store *store, enum state_file file, struct span bytes)
{
    if (file == STATE_CURRENT) {
        kept_remember(&store->kept, bytes);
    } else if (file == STATE_HEALTH) {
        report_remember(&store->report, bytes);
    } else if (file == STATE_SEEDS) {
        err_t err = pending_load(&store->pending, store->seal, bytes, store->realm);
        if (failed(err)) {
            log_event(EVENT_STATE_IGNORED, LOG_TEXT("file", "seeds"), LOG_ERR(err));
        }
    }
}

void store_start(struct store *store)
{
    rotation_init(&store->rotation, kept_current(&store->kept), clock_boot_ms());
    store_report(store, store_now(store));
}

/* Which keys should have a proven seed. */
static void want_proofs(struct store *store, struct times now)
{
    const struct rotation_view *view = &store->rotation.view;
    prover_serve(&store->prover, view->has_serving ? &view->serving : NULL);
    if (view->has_serving) {
        prover_want(&store->prover, &view->serving, now.boot_ms);
    }
    for (size_t i = 0; i < view->want_proof_n; i++) {
        prover_want(&store->prover, &view->want_proof[i], now.boot_ms);
    }
    prover_tick(&store->prover, now);
}

static void list_when_due(struct store *store, struct times now)
{
    const struct rotation_view *view = &store->rotation.view;
    for (size_t i = 0; i < store->tokens.n; i++) {
        struct token *token = store->tokens.at[i];
        bool due = now.boot_ms >= token_list_ms(token, view->list_at_ms);
        if (due && failed(token_list(token, view->has_serving ? &view->serving : NULL, now))) {
            rotation_list_failed(&store->rotation, now.boot_ms);
        }
    }
}

static void keep(struct store *store, struct times now)
{
    const struct rotation_view *view = &store->rotation.view;
    kept_tick(&store->kept, view->has_remembered ? &view->remembered : NULL, store->seeds,
              &store->pending, now.boot_ms);
}

void store_tick(struct store *store)
{
    tokens_tick(&store->tokens, clock_mono_ms());
    struct times now = store_now(store);
    (void)rotation_tick(&store->rotation, now.real_s, now.boot_ms);
    want_proofs(store, now);
    swap_snapshot(store);
    list_when_due(store, now);
    store_reopen_some(store, now);
    limits_tick(&store->limits, now.mono_ms);
    store_report(store, now);
    keep(store, now);
}

int64_t store_next_ms(const struct store *store)
{
    struct times now = store_now(store);
    int64_t boot_ms = prover_next_ms(&store->prover);
    for (size_t i = 0; i < store->tokens.n; i++) {
        boot_ms = times_earlier(
            boot_ms, token_list_ms(store->tokens.at[i], store->rotation.view.list_at_ms));
    }
    /* Once a second at least: activations and states are a matter of seconds. */
    int64_t wait_ms = times_earlier(boot_ms - now.boot_ms, 1000);
    int64_t next_ms = now.mono_ms + (wait_ms > 0 ? wait_ms : 0);
    return times_earlier(next_ms, tokens_next_ms(&store->tokens));
}

void store_reload(struct store *store, const struct config *config)
{
    if (config->derived_keys != store->config.derived_keys) {
        struct derived *derived = NULL;
        if (!failed(derived_new(config->derived_keys, &derived))) {
            derived_free(store->derived);
            store->derived = derived;
        }
    }
    store->config = *config;
    store->prover.life_s = config->seed_life_s;
    rotation_look_soon(&store->rotation); /* waivers may have changed */
}

void store_stored(struct store *store, enum state_file file, err_t err)
{
    kept_stored(&store->kept, file, err, clock_boot_ms());
}

void store_storing(struct store *store, unsigned what, const char *why)
{
    if (kept_storing(&store->kept, what, why)) {
        report_rewrite(&store->report);
    }
}
