#include "server/kms/prover.h"

void prover_done(struct prover *prover)
{
    for (size_t i = 0; i < PROVER_KEYS; i++) {
        if (prover->proofs[i].used) {
            proof_clear(&prover->proofs[i]);
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
    proof_clear(lowest);
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
            proof_clear(proof);
        }
    }
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

void prover_tick(struct prover *prover, struct times now)
{
    for (size_t i = 0; i < PROVER_KEYS; i++) {
        struct proof *proof = &prover->proofs[i];
        if (!is_live(prover, proof) || proof->step != PROOF_REST) {
            continue;
        }
        if (proof->write != NULL && now.boot_ms >= proof->canary_ms) {
            proof->canary_ms = now.boot_ms + PROVER_RETRY_MS;
            proof_canary(proof, now);
        } else if (now.boot_ms >= make_due_ms(prover, proof)) {
            proof->make_ms = now.boot_ms + PROVER_RETRY_MS;
            proof_make(proof, now);
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
    proof_rest(proof);
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
    struct prover_news news = {.key = proof->key, .err = proof_take(proof, reply, now)};
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
        proof_rest(proof);
        news.outcome = PROVER_PROVEN;
        news.made = step == PROOF_UNWRAP;
        *failing = false;
        proof->proven_ms = now.boot_ms;
        proof->canary_ms = now.boot_ms + PROVER_CANARY_MS;
    }
    return news;
}
