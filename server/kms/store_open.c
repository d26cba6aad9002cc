#include "base/log.h"
#include "server/kms/store.h"

#define REOPEN_MS 2000 /* a seed that fits no envelope is asked for again, so often at most */

err_t store_seal(struct store *store, uint8_t api, struct call *call, struct secret *out)
{
    call->wait = CALL_FOR_NOTHING;
    enum health_encrypt answer = health_encrypt_answer(store_state(store, store_now(store)));
    if (answer == HEALTH_ENCRYPT_REFUSED) {
        return FAIL(E_STATE, "the KEK is lost or unproven for too long");
    }
    const struct seed *write = store->snapshot.write;
    if (answer == HEALTH_ENCRYPT_WAITS || write == NULL) {
        call->wait = CALL_FOR_PROOF;
        return OK;
    }
    const struct seal_seed seed = {
        .head = &write->name.head,
        .wrapped = seed_name_wrapped(&write->name),
        .seed = secret_view(write->bytes),
    };
    size_t len = 0;
    TRY(seal_make(store->seal, &seed, api, call->payload, secret_room(out), &len));
    secret_set_len(out, len);
    return OK;
}

/* Not open here: the token is asked, or first of all which key it is. */
static err_t miss(struct store *store, const struct envelope *envelope, const uint8_t key[32],
                  struct call *call)
{
    struct times now = store_now(store);
    if (negative_has(store->negative, key, now.boot_ms)) {
        return FAIL(E_CRYPTO, "the token could not open this seed a moment ago");
    }
    const struct ipc_key_ref *ref = directory_find(&store->directory, envelope->head.kek_id);
    if (ref == NULL) {
        if (call->listing != 0 && call->listing <= store->lister.all_done) {
            return store->unread.any
                       ? FAIL(E_UNAVAILABLE, "a key of the token cannot be read: it may be the one")
                       : FAIL(E_NOT_FOUND, "no key of the token has this kek_id");
        }
        call->listing = call->listing != 0 ? call->listing : lister_want_all(&store->lister);
        call->wait = CALL_FOR_LISTING;
        return OK;
    }
    struct seed_name name;
    TRY(seed_name_of(store->seal, &envelope->head, envelope->wrapped, false, &name));
    bool known = pending_find(&store->pending, key) != NULL;
    TRY(unwraps_start(&store->unwraps, &name, ref, known ? CLIENT_KNOWN : CLIENT_LIVE,
                      now.mono_ms));
    call->wait = CALL_FOR_SEED;
    span_move(call->seed_key, key, 32);
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
static err_t doubt(struct store *store, const struct envelope *envelope, const struct seed *seed,
                   struct call *call)
{
    uint8_t key[32];
    struct times now = store_now(store);
    bool asked_again = seed->reopened_ms != 0 && now.boot_ms - seed->reopened_ms < REOPEN_MS;
    if (seed->confirmed || asked_again) {
        return FAIL(E_CRYPTO, "the envelope does not commit to its seed");
    }
    span_move(key, seed->name.key, sizeof(key));
    seeds_drop(store->seeds, seed);
    TRY(miss(store, envelope, key, call));
    unwraps_mark_again(&store->unwraps, key);
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

static err_t derive_and_open(struct store *store, const struct envelope *envelope,
                             const struct seed *seed, struct call *call, struct secret *out)
{
    CLEANUP(secret_free_p) struct secret *keys = NULL;
    TRY(secret_new(SECRET_2KIB, SEAL_DERIVED_LEN, &keys));
    TRY(seal_derive(store->seal, envelope, secret_view(seed->bytes),
                    span_mut_of(secret_room(keys).ptr, SEAL_DERIVED_LEN)));
    secret_set_len(keys, SEAL_DERIVED_LEN);
    if (!seal_commits(envelope, secret_view(keys))) {
        return doubt(store, envelope, seed, call);
    }
    confirm(store, seed);
    TRY(open_with(store, envelope, secret_view(keys), out));
    derived_add(store->derived, envelope->before_iv, TAKE(keys));
    return OK;
}

err_t store_open(struct store *store, const struct envelope *envelope, struct call *call,
                 struct secret *out)
{
    call->wait = CALL_FOR_NOTHING;
    struct span derived = derived_find(store->derived, envelope->before_iv);
    if (derived.len > 0) {
        return open_with(store, envelope, derived, out);
    }
    uint8_t key[32];
    TRY(seal_seed_key(store->seal, &envelope->head, envelope->wrapped, key));
    const struct seed *seed = seeds_find(store->seeds, key);
    if (seed == NULL) {
        return miss(store, envelope, key, call);
    }
    return derive_and_open(store, envelope, seed, call, out);
}
