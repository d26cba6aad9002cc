/*
 * proof: one KEK under proof: the seed that seals for it, and how that is made, opened again and
 * compared, one step after the other. When each is due, prover says.
 */
#ifndef SERVER_KMS_PROOF_H
#define SERVER_KMS_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "keys/ring.h"
#include "server/kms/seeds.h"
#include "server/kms/times.h"
#include "server/kms/token.h"
#include "token/client.h"

enum proof_step { PROOF_REST, PROOF_REOPEN, PROOF_RANDOM, PROOF_WRAP, PROOF_UNWRAP, PROOF_CANARY };

struct prover;

struct proof {
    struct prover *prover;
    bool used;
    struct ring_key key;
    const struct seed *write; /* pinned; NULL until the first proof */
    int64_t write_age_s;      /* at write_boot_ms; negative for a staged key */
    int64_t write_boot_ms;
    int64_t proven_ms; /* boot ms of the last proof */
    int64_t canary_ms; /* boot ms: when to do it next */
    int64_t make_ms;
    bool failing;          /* the canary; said once per incident */
    bool make_failing;     /* the making of a seed, likewise */
    enum proof_step step;  /* what the token is asked for just now */
    struct token *token;   /* which was asked last; NULL: none was */
    struct seed_name name; /* what is being opened or made */
    struct secret *fresh;  /* the seed being made */
};

/* Proven at least once in this process. NULL: not. */
static inline bool proof_stands(const struct proof *proof)
{
    return proof != NULL && proof->write != NULL;
}

/*
 * Asks for a new seed, or for the young one that this node made before its restart to be opened; or
 * for the seed that seals to be opened. When nothing can be asked the proof rests.
 */
void proof_make(struct proof *proof, struct times now);
void proof_canary(struct proof *proof, struct times now);
/* What this step wanted to know. OK with another step set: it goes on. */
MUST_USE err_t proof_take(struct proof *proof, const struct client_reply *reply, struct times now);
/* The step has ended, well or not. */
void proof_rest(struct proof *proof);
/* Lets go of the key: of its seed, and of what the token is asked. */
void proof_clear(struct proof *proof);

#endif
