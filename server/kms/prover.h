/*
 * prover: the seeds that seal, and the proof that their KEKs still work. A first seed is made from
 * the token's RNG XOR ours, wrapped, unwrapped again and compared before it seals anything. The
 * seed that seals is unwrapped and compared again every 20 s (every 2 s while that fails): the
 * canary. After a restart the own young seed of a key is opened, twice, instead of making another.
 * At 3/4 of its life a seed gets a successor; while none can be made it seals on.
 */
#ifndef SERVER_KMS_PROVER_H
#define SERVER_KMS_PROVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/ring.h"
#include "keys/seal.h"
#include "token/client.h"
#include "server/kms/directory.h"
#include "server/kms/pending.h"
#include "server/kms/seeds.h"
#include "server/kms/times.h"

#define PROVER_KEYS      8u
#define PROVER_CANARY_MS 20000
#define PROVER_RETRY_MS  2000
#define PROVER_REMAKE_MS 60000 /* a successor could not be made: not so soon again */

enum proof_step { PROOF_REST, PROOF_REOPEN, PROOF_RANDOM, PROOF_WRAP, PROOF_UNWRAP, PROOF_CANARY };

struct prover;

/* One KEK under proof. */
struct proof {
    struct prover *prover;
    bool used;
    struct ring_key key;
    const struct seed *write; /* pinned; NULL until the first proof */
    int64_t write_age_s;      /* at write_boot_ms; negative for a staged key */
    int64_t write_boot_ms;
    int64_t proven_ms;        /* boot ms of the last proof */
    int64_t canary_ms;        /* boot ms: when to do it next */
    int64_t make_ms;
    bool failing;             /* the canary; said once per incident */
    bool make_failing;        /* the making of a seed, likewise */
    enum proof_step step;
    struct seed_name name;    /* what is being opened or made */
    struct secret *fresh;     /* the seed being made */
};

/* Proven at least once in this process. NULL: not. */
static inline bool proof_stands(const struct proof *proof)
{
    return proof != NULL && proof->write != NULL;
}

struct prover_events {
    void *ctx;
    /* The token has answered for this key: the owner gives it to prover_reply. */
    void (*on_reply)(void *ctx, struct proof *proof, const struct client_reply *reply);
};

/* It must not move. The members above has_serving are the owner's to fill in. */
struct prover {
    struct prover_events events;
    struct client *client;
    struct seal *seal;
    struct seeds *seeds;
    struct pending *pending;
    const struct directory *directory;
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
