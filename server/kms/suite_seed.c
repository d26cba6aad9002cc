/* Suite 1: DEKs under a seed that the token wrapped. Sealing needs no token, opening seldom. */
#include "base/log.h"
#include "server/kms/store.h"
#include "server/kms/suite.h"

#define REOPEN_MS 2000 /* a seed that fits no envelope is asked for again, so often at most */

/* What was sealed under a seed opens, whatever seals now. */
static bool is_accepted(const struct config *config)
{
    (void)config;
    return true;
}

static err_t seal(struct store *store, struct call *call, struct suite_result *result)
{
    const struct snapshot *snapshot = &store->snapshot;
    const struct seal_seed seed = {
        .head = &snapshot->write->name.head,
        .wrapped = seed_name_wrapped(&snapshot->write->name),
        .seed = secret_view(snapshot->write->bytes),
    };
    size_t len = 0;
    TRY(seal_make(store->seal, &seed, call_api(call), call->payload, secret_room(result->bytes),
                  &len));
    secret_set_len(result->bytes, len);
    span_move(result->key_id, snapshot->key_id, sizeof(result->key_id));
    return OK;
}

/* The token is asked to open it, or first of all which key it is. */
static err_t ask(struct store *store, const struct seed_name *name, struct call *call)
{
    struct times now = store_now(store);
    struct token_place place;
    if (negative_has(store->negative, name->key, now.boot_ms)) {
        return FAIL(E_CRYPTO, "the token could not open this seed a moment ago");
    }
    TRY(suite_find_kek(store, call, &place));
    if (place.token == NULL) {
        return OK;
    }
    bool known = pending_find(&store->pending, name->key) != NULL;
    enum client_class class = known ? CLIENT_KNOWN : CLIENT_LIVE;
    TRY(suite_had_room(store,
                       unwraps_start(&place.token->unwraps, name, place.ref, class, now.mono_ms)));
    call->wait.what = CALL_FOR_SEED;
    span_move(call->wait.key, name->key, CALL_KEY_LEN);
    return OK;
}

static err_t open_with(struct store *store, const struct envelope *envelope, struct span derived,
                       struct secret *out)
{
    size_t len = 0;
    TRY(seal_open(store->seal, envelope, derived, secret_room(out), &len));
    secret_set_len(out, len);
    return OK;
}

/*
 * The envelope does not commit to what this seed derives. Under a seed that proved itself before,
 * the envelope is bad. Any other may be what the token opened wrongly: it goes, and the token is
 * asked again.
 */
static err_t doubt(struct store *store, const struct seed *seed, struct call *call)
{
    const struct seed_name name = seed->name;
    struct times now = store_now(store);
    bool asked_again = seed->reopened_ms != 0 && now.boot_ms - seed->reopened_ms < REOPEN_MS;
    if (seed->confirmed || asked_again) {
        return FAIL(E_CRYPTO, "the envelope does not commit to its seed");
    }
    TRY(ask(store, &name, call));
    if (call->wait.what == CALL_FOR_SEED) {
        seeds_drop(store->seeds, seed);
        tokens_mark_again(&store->tokens, name.key);
    }
    return OK;
}

static void confirm(struct store *store, const struct seed *seed)
{
    if (!seed->confirmed && seed->reopened_ms != 0) {
        log_event(EVENT_TOKEN_OPENED_WRONGLY,
                  LOG_TEXT("what", "a seed; asked again it opened it right"));
    }
    seeds_confirm(store->seeds, seed);
}

static err_t derive_and_open(struct store *store, const struct seed *seed, struct call *call,
                             struct secret *out)
{
    const struct envelope *envelope = &call->envelope;
    CLEANUP(secret_free_p) struct secret *keys = NULL;
    TRY(suite_room(store, SEAL_DERIVED_LEN, &keys));
    TRY(seal_derive(store->seal, envelope, secret_view(seed->bytes),
                    span_mut_of(secret_room(keys).ptr, SEAL_DERIVED_LEN)));
    secret_set_len(keys, SEAL_DERIVED_LEN);
    if (!seal_commits(envelope, secret_view(keys))) {
        return doubt(store, seed, call);
    }
    confirm(store, seed);
    TRY(open_with(store, envelope, secret_view(keys), out));
    derived_add(store->derived, envelope->before_iv, TAKE(keys));
    return OK;
}

static err_t open(struct store *store, struct call *call, struct suite_result *result)
{
    const struct envelope *envelope = &call->envelope;
    struct span derived = derived_find(store->derived, envelope->before_iv);
    if (derived.len > 0) {
        return open_with(store, envelope, derived, result->bytes);
    }
    uint8_t key[32];
    TRY(seal_seed_key(store->seal, &envelope->head, envelope->wrapped, key));
    const struct seed *seed = seeds_find(store->seeds, key);
    if (seed != NULL) {
        return derive_and_open(store, seed, call, result->bytes);
    }
    struct seed_name name;
    TRY(seed_name_of(store->seal, &envelope->head, envelope->wrapped, false, &name));
    return ask(store, &name, call);
}

static void abandon(struct store *store, const struct call_wait *wait)
{
    if (wait->what == CALL_FOR_SEED) {
        tokens_abandon(&store->tokens, wait->key);
    }
}

const struct suite suite_seed = {
    .number = ENVELOPE_SEED,
    .mode = CONFIG_MODE_SEED,
    .is_accepted = is_accepted,
    .seal = seal,
    .open = open,
    .abandon = abandon,
};
