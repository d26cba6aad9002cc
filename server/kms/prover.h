/*
 * prover: the seeds that seal, and the proof that their KEKs still work: which are under proof,
 * when what is due, and what it means. A first seed is made from the token's RNG XOR ours, wrapped,
 * unwrapped again and compared before it seals anything. The seed that seals is unwrapped and
 * compared again every 20 s (every 2 s while that fails): the canary. After a restart the own young
 * seed of a key is opened, twice, instead of making another. At 3/4 of its life a seed gets a
 * successor; while none can be made it seals on.
 */
#ifndef SERVER_KMS_PROVER_H
#define SERVER_KMS_PROVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/ring.h"
#include "keys/seal.h"
#include "server/kms/pending.h"
#include "server/kms/proof.h"
#include "server/kms/seeds.h"
#include "server/kms/times.h"
#include "server/kms/token.h"

#define PROVER_KEYS      8u
#define PROVER_CANARY_MS 20000
#define PROVER_RETRY_MS  2000
#define PROVER_REMAKE_MS 60000 /* a successor could not be made: not so soon again */

struct prover_events {
    void *ctx;
    /* The token has answered for this key: the owner gives it to prover_reply. */
    void (*on_reply)(void *ctx, struct proof *proof, const struct client_reply *reply);
};

/* It must not move. The members above has_serving are the owner's to fill in. */
struct prover {
    struct prover_events events;
    struct tokens *tokens;
    struct seal *seal;
    struct seeds *seeds;
    struct pending *pending;
    uint8_t realm[ENVELOPE_REALM];
    int64_t life_s;
    bool has_serving;
    struct ring_key serving;
    struct proof proofs[PROVER_KEYS];
};

enum prover_outcome {
    PROVER_NOTHING,
    PROVER_PROVEN,     /* opened and equal */
    PROVER_WRONG,      /* opened otherwise, or the token says that it never opens */
    PROVER_MISSING,    /* the token has no such key */
    PROVER_FAILED      /* the token did not do it */
};

struct prover_news {
    enum prover_outcome outcome;
    struct ring_key key;
    bool made;          /* a seed that was not there before */
    bool first_failure; /* worth a line in the log */
    err_t err;
};

void prover_done(struct prover *prover);
/* This key should have a proven seed. */
void prover_want(struct prover *prover, const struct ring_key *key, int64_t boot_ms);
/* Its canary is what the health rests on; keys that rank below it rest. NULL: none yet. */
void prover_serve(struct prover *prover, const struct ring_key *serving);
/* Of what was to serve later, keeps only the keys that are still listed. */
void prover_keep_listed(struct prover *prover, const struct ring_key *keys, size_t n);
/* Starts what is due. */
void prover_tick(struct prover *prover, struct times now);
/* What the reply to the last asking for this key means. */
struct prover_news prover_reply(struct proof *proof, const struct client_reply *reply,
                                struct times now);
/* Boot ms of the next thing to do; INT64_MAX none. */
int64_t prover_next_ms(const struct prover *prover);
/* Age of the seed that seals, by the clock that never jumps; its `write` is set. */
int64_t prover_seed_age_s(const struct proof *proof, int64_t boot_ms);
/* NULL: not under proof here. */
const struct proof *prover_find(const struct prover *prover, const struct ring_key *key);

#endif
