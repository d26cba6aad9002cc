#include "server/kms/prover.h"

#include "server/kms/unwraps.h"

static void rest(struct proof *proof)
{
    secret_free(TAKE(proof->fresh));
    proof->step = PROOF_REST;
}

static void clear(struct prover *prover, struct proof *proof)
{
    client_cancel(prover->client, proof);
    rest(proof);
    if (proof->write != NULL) {
        seeds_unpin(prover->seeds, proof->write);
    }
    *proof = (struct proof){0};
}

void prover_done(struct prover *prover)
{
    for (size_t i = 0; i < PROVER_KEYS; i++) {
        if (prover->proofs[i].used) {
            clear(prover, &prover->proofs[i]);
        }
    }
}

/* PROVER_KEYS: this key is not under proof. */
static size_t place_of(const struct prover *prover, const struct ring_key *key)
{
    size_t i = 0;
    while (i < PROVER_KEYS &&
           !(prover->proofs[i].used && ring_same(&prover->proofs[i].key, key))) {
        i++;
    }
    return i;
}

const struct proof *prover_find(const struct prover *prover, const struct ring_key *key)
{
    size_t at = place_of(prover, key);
    return at < PROVER_KEYS ? &prover->proofs[at] : NULL;
}

static bool is_serving(const struct prover *prover, const struct proof *proof)
{
    return prover->has_serving && ring_same(&proof->key, &prover->serving);
}

/* Serving, staged behind it, or nothing serves yet. */
static bool is_live(const struct prover *prover, const struct proof *proof)
{
    return proof->used &&
           (!prover->has_serving || ring_compare(&proof->key, &prover->serving) >= 0);
}

/* A free place, else that of the key that ranks lowest and does not serve. */
static struct proof *place(struct prover *prover)
{
    struct proof *lowest = NULL;
    for (size_t i = 0; i < PROVER_KEYS; i++) {
        struct proof *proof = &prover->proofs[i];
        if (!proof->used) {
            return proof;
        }
        bool lower = lowest == NULL || ring_compare(&proof->key, &lowest->key) < 0;
        if (lower && !is_serving(prover, proof)) {
            lowest = proof;
        }
    }
    clear(prover, lowest);
    return lowest;
}

void prover_want(struct prover *prover, const struct ring_key *key, int64_t boot_ms)
{
    if (place_of(prover, key) == PROVER_KEYS) {
        *place(prover) = (struct proof){
            .prover = prover, .used = true, .key = *key, .canary_ms = boot_ms, .make_ms = boot_ms};
    }
}

void prover_serve(struct prover *prover, const struct ring_key *serving)
{
    prover->has_serving = serving != NULL;
    if (serving != NULL) {
        prover->serving = *serving;
    }
}

void prover_keep_listed(struct prover *prover, const struct ring_key *keys, size_t n)
{
    for (size_t i = 0; i < PROVER_KEYS; i++) {
        struct proof *proof = &prover->proofs[i];
        if (is_live(prover, proof) && !is_serving(prover, proof) &&
            ring_find(keys, n, &proof->key) == NULL) {
            clear(prover, proof);
        }
    }
}

static void on_reply(void *ctx, const struct client_reply *reply)
{
    struct proof *proof = ctx;
    const struct prover_events *events = &proof->prover->events;
    events->on_reply(events->ctx, proof, reply);
}

/* One call to the token for this proof. False: not now. */
static bool ask(struct prover *prover, struct proof *proof, enum proof_step step,
                struct client_request *request, int64_t mono_ms)
{
    request->class = CLIENT_CANARY;
    request->done = on_reply;
    request->ctx = proof;
    request->deadline_ms = mono_ms + CLIENT_CALL_MS;
    if (failed(client_call(prover->client, request, mono_ms))) {
        rest(proof);
        return false;
    }
    proof->step = step;
    return true;
}

static bool ask_unwrap(struct prover *prover, struct proof *proof, enum proof_step step,
                       const struct seed_name *name, int64_t mono_ms)
{
    const struct ipc_key_ref *ref = directory_find(prover->directory, proof->key.kek_id);
    if (ref == NULL) {
        rest(proof);
        return false;
    }
    uint8_t aad[ENVELOPE_WRAP_AAD];
    struct client_request request = unwraps_request(name, ref, aad, mono_ms);
    return ask(prover, proof, step, &request, mono_ms);
}

static bool ask_random(struct prover *prover, struct proof *proof, int64_t mono_ms)
{
    struct client_request request = {.verb = IPC_RANDOM, .random_n = SEED_LEN};
    return ask(prover, proof, PROOF_RANDOM, &request, mono_ms);
}

/* Boot ms from which the seed needs a successor. */
static int64_t make_due_ms(const struct prover *prover, const struct proof *proof)
{
    if (proof->write == NULL) {
        return proof->make_ms;
    }
    int64_t old_s = prover->life_s / 4 * 3;
    int64_t due_ms = proof->write_boot_ms + (old_s - proof->write_age_s) * 1000;
    return due_ms > proof->make_ms ? due_ms : proof->make_ms;
}

static void start_make(struct prover *prover, struct proof *proof, struct times now)
{
    proof->make_ms = now.boot_ms + PROVER_RETRY_MS;
    const struct seed_name *young =
        proof->write == NULL
            ? pending_young(prover->pending, &proof->key, now.real_s, prover->life_s)
            : NULL;
    if (young != NULL) {
        proof->name = *young;
        (void)ask_unwrap(prover, proof, PROOF_REOPEN, &proof->name, now.mono_ms);
    } else {
        (void)ask_random(prover, proof, now.mono_ms);
    }
}

static void start_canary(struct prover *prover, struct proof *proof, struct times now)
{
    proof->canary_ms = now.boot_ms + PROVER_RETRY_MS;
    proof->name = proof->write->name;
    (void)ask_unwrap(prover, proof, PROOF_CANARY, &proof->name, now.mono_ms);
}

void prover_tick(struct prover *prover, struct times now)
{
    for (size_t i = 0; i < PROVER_KEYS; i++) {
        struct proof *proof = &prover->proofs[i];
        if (!is_live(prover, proof) || proof->step != PROOF_REST) {
            continue;
        }
        if (proof->write != NULL && now.boot_ms >= proof->canary_ms) {
            start_canary(prover, proof, now);
        } else if (now.boot_ms >= make_due_ms(prover, proof)) {
            start_make(prover, proof, now);
        }
    }
}

int64_t prover_next_ms(const struct prover *prover)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < PROVER_KEYS; i++) {
        const struct proof *proof = &prover->proofs[i];
        if (is_live(prover, proof) && proof->step == PROOF_REST) {
            next_ms = times_earlier(next_ms, make_due_ms(prover, proof));
            next_ms = proof->write == NULL ? next_ms : times_earlier(next_ms, proof->canary_ms);
        }
    }
    return next_ms;
}

/* The token's random bytes, and ours over them: neither alone decides the seed. */
static err_t mix(struct prover *prover, struct proof *proof, struct span token_random)
{
    if (token_random.len != SEED_LEN) {
        return FAIL(E_TOKEN, "the token gave another number of random bytes than asked");
    }
    TRY(secret_new(SECRET_2KIB, SEED_LEN, &proof->fresh));
    secret_set_len(proof->fresh, SEED_LEN);
    struct span_mut room = secret_room(proof->fresh);
    TRY(seal_random(prover->seal, span_mut_of(room.ptr, SEED_LEN)));
    for (size_t i = 0; i < SEED_LEN; i++) {
        room.ptr[i] ^= token_random.ptr[i];
    }
    return OK;
}

static err_t take_random(struct prover *prover, struct proof *proof,
                         const struct client_reply *reply, struct times now)
{
    TRY(mix(prover, proof, reply->data));
    const struct ipc_key_ref *ref = directory_find(prover->directory, proof->key.kek_id);
    if (ref == NULL) {
        return FAIL(E_NOT_FOUND, "the key is not known here");
    }
    proof->name = (struct seed_name){.own = true,
                                     .head = {.suite = ENVELOPE_SEED,
                                              .scheme = ref->scheme,
                                              .activation = proof->key.not_before,
                                              .born = (uint32_t)now.real_s}};
    span_move(proof->name.head.realm, prover->realm, ENVELOPE_REALM);
    span_move(proof->name.head.kek_id, proof->key.kek_id, KEK_ID_LEN);
    uint8_t aad[ENVELOPE_WRAP_AAD];
    envelope_wrap_aad(&proof->name.head, aad);
    struct client_request request = {.verb = IPC_WRAP,
                                     .key = *ref,
                                     .aad = span_of(aad, sizeof(aad)),
                                     .data = secret_view(proof->fresh)};
    return ask(prover, proof, PROOF_WRAP, &request, now.mono_ms)
               ? OK
               : FAIL(E_LIMIT, "the queue of the token is full");
}

static err_t take_wrapped(struct prover *prover, struct proof *proof,
                          const struct client_reply *reply, struct times now)
{
    const struct envelope_head head = proof->name.head;
    TRY(seed_name_of(prover->seal, &head, reply->data, true, &proof->name));
    return ask_unwrap(prover, proof, PROOF_UNWRAP, &proof->name, now.mono_ms)
               ? OK
               : FAIL(E_LIMIT, "the queue of the token is full");
}

/*
 * A remembered seed: that the token opened it right nobody knows but the token, so it is asked
 * again.
 */
static err_t take_reopened(struct prover *prover, struct proof *proof,
                           const struct client_reply *reply, struct times now)
{
    TRY(secret_new(SECRET_2KIB, reply->data.len, &proof->fresh));
    TRY(secret_append(proof->fresh, reply->data));
    return ask_unwrap(prover, proof, PROOF_UNWRAP, &proof->name, now.mono_ms)
               ? OK
               : FAIL(E_LIMIT, "the queue of the token is full");
}

/* From now on this seed seals for the key. */
static err_t take_write(struct prover *prover, struct proof *proof, struct span bytes,
                        struct times now)
{
    const struct seed *seed = NULL;
    TRY(seeds_add(prover->seeds, &proof->name, bytes, &seed));
    if (proof->write != NULL) {
        seeds_unpin(prover->seeds, proof->write);
    }
    seeds_confirm(prover->seeds, seed);
    seeds_pin(prover->seeds, seed);
    pending_remove(prover->pending, proof->name.key);
    proof->write = seed;
    proof->write_age_s = seed_age_s(&seed->name.head, now.real_s);
    proof->write_boot_ms = now.boot_ms;
    return OK;
}

static err_t compare(struct span opened, const struct secret *expected)
{
    return secret_equal(opened, secret_view(expected))
               ? OK
               : FAIL(E_CRYPTO, "a seed did not open to what had been wrapped");
}

/* What this step wanted to know. OK with another step set: it goes on. */
static err_t take_step(struct prover *prover, struct proof *proof, const struct client_reply *reply,
                       struct times now)
{
    TRY(reply->err);
    switch (proof->step) {
    case PROOF_RANDOM:
        return take_random(prover, proof, reply, now);
    case PROOF_WRAP:
        return take_wrapped(prover, proof, reply, now);
    case PROOF_UNWRAP:
        TRY(compare(reply->data, proof->fresh));
        return take_write(prover, proof, reply->data, now);
    case PROOF_REOPEN:
        return take_reopened(prover, proof, reply, now);
    case PROOF_CANARY:
        return compare(reply->data, proof->write->bytes);
    case PROOF_REST:
    default:
        return FAIL(E_BUG, "a proof that rests got a reply");
    }
}

static enum prover_outcome blame(err_t err)
{
    if (err.code == E_INVALID || err.code == E_CRYPTO) {
        return PROVER_WRONG;
    }
    return err.code == E_NOT_FOUND ? PROVER_MISSING : PROVER_FAILED;
}

static void note_failure(struct prover *prover, struct proof *proof, enum proof_step step,
                         err_t err, int64_t boot_ms)
{
    if (step == PROOF_REOPEN && blame(err) == PROVER_WRONG) {
        pending_remove(prover->pending, proof->name.key);
        proof->make_ms = boot_ms;
    } else if (step != PROOF_CANARY) {
        proof->make_ms = boot_ms + (proof->write == NULL ? PROVER_RETRY_MS : PROVER_REMAKE_MS);
    } else {
        proof->canary_ms = boot_ms + PROVER_RETRY_MS;
    }
    rest(proof);
}

int64_t prover_seed_age_s(const struct proof *proof, int64_t boot_ms)
{
    return proof->write_age_s + (boot_ms - proof->write_boot_ms) / 1000;
}

struct prover_news prover_reply(struct proof *proof, const struct client_reply *reply,
                                struct times now)
{
    struct prover *prover = proof->prover;
    enum proof_step step = proof->step;
    struct prover_news news = {.key = proof->key, .err = take_step(prover, proof, reply, now)};
    bool proves = step == PROOF_UNWRAP || step == PROOF_CANARY;
    bool *failing = step == PROOF_CANARY ? &proof->failing : &proof->make_failing;
    if (failed(news.err)) {
        news.outcome = blame(news.err);
        if (step == PROOF_REOPEN && news.outcome == PROVER_WRONG) {
            news.outcome = PROVER_NOTHING; /* says nothing against the KEK: another seed is made */
        }
        news.first_failure = !*failing;
        *failing = true;
        note_failure(prover, proof, step, news.err, now.boot_ms);
    } else if (proves) {
        rest(proof);
        news.outcome = PROVER_PROVEN;
        news.made = step == PROOF_UNWRAP;
        *failing = false;
        proof->proven_ms = now.boot_ms;
        proof->canary_ms = now.boot_ms + PROVER_CANARY_MS;
    }
    return news;
}
