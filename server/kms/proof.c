#include "server/kms/proof.h"

#include "server/kms/prover.h"

void proof_rest(struct proof *proof)
{
    secret_free(TAKE(proof->fresh));
    proof->step = PROOF_REST;
}

void proof_clear(struct proof *proof)
{
    if (proof->token != NULL) {
        client_cancel(proof->token->client, proof);
    }
    proof_rest(proof);
    if (proof->write != NULL) {
        seeds_unpin(proof->prover->seeds, proof->write);
    }
    *proof = (struct proof){0};
}

static void on_reply(void *ctx, const struct client_reply *reply)
{
    struct proof *proof = ctx;
    const struct prover_events *events = &proof->prover->events;
    events->on_reply(events->ctx, proof, reply);
}

/* One call to the token for this proof. False: not now. */
static bool ask(struct proof *proof, struct token *token, enum proof_step step,
                struct client_request *request, int64_t mono_ms)
{
    proof->token = token;
    request->class = CLIENT_CANARY;
    request->done = on_reply;
    request->ctx = proof;
    request->deadline_ms = mono_ms + CLIENT_CALL_MS;
    if (failed(client_call(token->client, request, mono_ms))) {
        proof_rest(proof);
        return false;
    }
    proof->step = step;
    return true;
}

static bool ask_unwrap(struct proof *proof, enum proof_step step, const struct seed_name *name,
                       int64_t mono_ms)
{
    const struct token_place place = tokens_find(proof->prover->tokens, proof->key.kek_id);
    if (place.token == NULL) {
        proof_rest(proof);
        return false;
    }
    uint8_t aad[ENVELOPE_WRAP_AAD];
    struct client_request request = unwraps_request(name, place.ref, aad, mono_ms);
    return ask(proof, place.token, step, &request, mono_ms);
}

static bool ask_random(struct proof *proof, int64_t mono_ms)
{
    const struct tokens *tokens = proof->prover->tokens;
    const struct token_place place = tokens_find(tokens, proof->key.kek_id);
    struct token *token = place.token != NULL ? place.token : tokens->at[0];
    struct client_request request = {.verb = IPC_RANDOM, .random_n = SEED_LEN};
    return ask(proof, token, PROOF_RANDOM, &request, mono_ms);
}

void proof_make(struct proof *proof, struct times now)
{
    const struct seed_name *young =
        proof->write == NULL
            ? pending_young(proof->prover->pending, &proof->key, now.real_s, proof->prover->life_s)
            : NULL;
    if (young != NULL) {
        proof->name = *young;
        (void)ask_unwrap(proof, PROOF_REOPEN, &proof->name, now.mono_ms);
    } else {
        (void)ask_random(proof, now.mono_ms);
    }
}

void proof_canary(struct proof *proof, struct times now)
{
    proof->name = proof->write->name;
    (void)ask_unwrap(proof, PROOF_CANARY, &proof->name, now.mono_ms);
}

/* The token's random bytes, and ours over them: neither alone decides the seed. */
static err_t mix(struct proof *proof, struct span token_random)
{
    if (token_random.len != SEED_LEN) {
        return FAIL(E_TOKEN, "the token gave another number of random bytes than asked");
    }
    TRY(secret_new(SECRET_2KIB, SEED_LEN, &proof->fresh));
    secret_set_len(proof->fresh, SEED_LEN);
    struct span_mut room = secret_room(proof->fresh);
    TRY(seal_random(proof->prover->seal, span_mut_of(room.ptr, SEED_LEN)));
    for (size_t i = 0; i < SEED_LEN; i++) {
        room.ptr[i] ^= token_random.ptr[i];
    }
    return OK;
}

static err_t take_random(struct proof *proof, const struct client_reply *reply, struct times now)
{
    TRY(mix(proof, reply->data));
    const struct token_place place = tokens_find(proof->prover->tokens, proof->key.kek_id);
    if (place.token == NULL) {
        return FAIL(E_NOT_FOUND, "the key is not known here");
    }
    proof->name = (struct seed_name){.own = true,
                                     .head = {.suite = ENVELOPE_SEED,
                                              .scheme = place.ref->scheme,
                                              .activation = proof->key.not_before,
                                              .born = (uint32_t)now.real_s}};
    span_move(proof->name.head.realm, proof->prover->realm, ENVELOPE_REALM);
    span_move(proof->name.head.kek_id, proof->key.kek_id, KEK_ID_LEN);
    uint8_t aad[ENVELOPE_WRAP_AAD];
    envelope_wrap_aad(&proof->name.head, aad);
    struct client_request request = {.verb = IPC_WRAP,
                                     .key = *place.ref,
                                     .aad = span_of(aad, sizeof(aad)),
                                     .data = secret_view(proof->fresh)};
    return ask(proof, place.token, PROOF_WRAP, &request, now.mono_ms)
               ? OK
               : FAIL(E_LIMIT, "the queue of the token is full");
}

static err_t take_wrapped(struct proof *proof, const struct client_reply *reply, struct times now)
{
    const struct envelope_head head = proof->name.head;
    TRY(seed_name_of(proof->prover->seal, &head, reply->data, true, &proof->name));
    return ask_unwrap(proof, PROOF_UNWRAP, &proof->name, now.mono_ms)
               ? OK
               : FAIL(E_LIMIT, "the queue of the token is full");
}

/*
 * A remembered seed: that the token opened it right nobody knows but the token, so it is asked
 * again.
 */
static err_t take_reopened(struct proof *proof, const struct client_reply *reply, struct times now)
{
    TRY(secret_new(SECRET_2KIB, reply->data.len, &proof->fresh));
    TRY(secret_append(proof->fresh, reply->data));
    return ask_unwrap(proof, PROOF_UNWRAP, &proof->name, now.mono_ms)
               ? OK
               : FAIL(E_LIMIT, "the queue of the token is full");
}

/* From now on this seed seals for the key. */
static err_t take_write(struct proof *proof, struct span bytes, struct times now)
{
    const struct seed *seed = NULL;
    TRY(seeds_add(proof->prover->seeds, &proof->name, bytes, &seed));
    if (proof->write != NULL) {
        seeds_unpin(proof->prover->seeds, proof->write);
    }
    seeds_confirm(proof->prover->seeds, seed);
    seeds_pin(proof->prover->seeds, seed);
    pending_remove(proof->prover->pending, proof->name.key);
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

err_t proof_take(struct proof *proof, const struct client_reply *reply, struct times now)
{
    TRY(reply->err);
    switch (proof->step) {
    case PROOF_RANDOM:
        return take_random(proof, reply, now);
    case PROOF_WRAP:
        return take_wrapped(proof, reply, now);
    case PROOF_UNWRAP:
        TRY(compare(reply->data, proof->fresh));
        return take_write(proof, reply->data, now);
    case PROOF_REOPEN:
        return take_reopened(proof, reply, now);
    case PROOF_CANARY:
        return compare(reply->data, proof->write->bytes);
    case PROOF_REST:
    default:
        return FAIL(E_BUG, "a proof that rests got a reply");
    }
}
