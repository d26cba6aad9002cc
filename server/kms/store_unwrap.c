#include "server/kms/store.h"

#define TOKEN_CALL_MS 2000 /* a call that failed after so long had used up its time */

/* The seed that the token opened goes where everyone finds it. */
static err_t keep_seed(struct store *store, const struct unwrap *unwrap, struct span bytes,
                       int64_t boot_ms)
{
    struct seed_name name = unwrap->name;
    const struct seed_name *remembered = pending_find(&store->pending, name.key);
    name.own |= remembered != NULL && remembered->own;
    const struct seed *seed = NULL;
    TRY(seeds_add(store->seeds, &name, bytes, &seed));
    if (unwrap->again) {
        seeds_mark_reopened(store->seeds, seed, boot_ms);
    }
    if (remembered == NULL) {
        kept_seeds_changed(&store->kept);
    }
    return OK;
}

void store_take_unwrap(struct store *store, const struct unwrap *unwrap,
                       const struct client_reply *reply, struct times now)
{
    /* E_INVALID is certain: whatever may have been a hiccup of the token comes as another error. */
    err_t err =
        failed(reply->err) ? reply->err : keep_seed(store, unwrap, reply->data, now.boot_ms);
    if (err.code == E_INVALID || err.code == E_CRYPTO) {
        err = FAIL(E_CRYPTO, "the token cannot open this seed");
        negative_add(store->negative, unwrap->name.key, now.boot_ms);
    }
    if (!failed(err) || err.code == E_CRYPTO || err.code == E_NOT_FOUND) {
        pending_remove(&store->pending, unwrap->name.key);
    } else {
        store->background_ms = now.boot_ms + PROVER_RETRY_MS;
    }
    bool timed_out = err.code == E_DEADLINE || err.code == E_UNAVAILABLE;
    bool again = timed_out && now.mono_ms - unwrap->started_ms >= TOKEN_CALL_MS;
    struct call_wait wait = {.what = CALL_FOR_SEED};
    span_move(wait.key, unwrap->name.key, CALL_KEY_LEN);
    store->events.on_happened(store->events.ctx, &wait, again ? OK : err);
}

/* A few at a time, and only once the keys are known and the first proof is made. */
void store_reopen_some(struct store *store, struct times now)
{
    if (!store->snapshot.ready || now.boot_ms < store->background_ms) {
        return;
    }
    for (size_t tries = store->pending.left; tries > 0; tries--) {
        if (tokens_background(&store->tokens) >= UNWRAPS_BACKGROUND_MAX) {
            return;
        }
        const struct seed_name *name = pending_next(&store->pending);
        if (seeds_find(store->seeds, name->key) != NULL) {
            pending_remove(&store->pending, name->key);
            continue;
        }
        const struct token_place place = tokens_find(&store->tokens, name->head.kek_id);
        if (place.token == NULL && tokens_all_listed(&store->tokens) == 0) {
            (void)tokens_want_all(&store->tokens);
        } else if (place.token == NULL && tokens_unread(&store->tokens)) {
            /* Its key may be the one unread. */
            store->background_ms = now.boot_ms + PROVER_RETRY_MS;
        } else if (place.token == NULL) {
            pending_remove(&store->pending, name->key);
        } else if (failed(unwraps_start(&place.token->unwraps, name, place.ref, CLIENT_BACKGROUND,
                                        now.mono_ms))) {
            store->background_ms = now.boot_ms + PROVER_RETRY_MS;
            return;
        }
    }
}
