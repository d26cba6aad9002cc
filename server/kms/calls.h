/*
 * calls: client calls that wait, at most CALLS_MAX, for a seed, for a listing or for the first
 * proof. A call holds a ticket and a copy of its payload; plaintext lies in the arena. When what it
 * waits for happens it is simply tried again.
 */
#ifndef SERVER_KMS_CALLS_H
#define SERVER_KMS_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/ticket.h"
#include "keys/envelope.h"
#include "server/kms/call.h"

#define CALLS_MAX         512u
/* of them with plaintext: each takes a slot of the arena, as replies do */
#define CALLS_SECRETS_MAX 128u
#define CALLS_UID_LEN     65u

enum call_wait { CALL_FOR_NOTHING, CALL_FOR_SEED, CALL_FOR_LISTING, CALL_FOR_PROOF };

/* A validated call, whether it waits or not. */
struct call {
    TAILQ_ENTRY(call) link;
    enum codec_method method;
    struct ticket ticket;
    enum service_authority authority;
    /* CLOCK_MONOTONIC: then it is answered without what it waits for */
    int64_t expires_ms;
    char uid[CALLS_UID_LEN];     /* for the log: checked, or "-" */
    struct span payload;         /* points into `ciphertext` or `plaintext` while it waits */
    enum call_wait wait;
    uint8_t seed_key[32];        /* CALL_FOR_SEED */
    uint64_t listing;            /* CALL_FOR_LISTING: number of the listing that decides */
    uint8_t ciphertext[ENVELOPE_MAX];
    struct secret *plaintext;
    bool answered;
    struct service_reply reply;  /* once answered, until it is said */
};

TAILQ_HEAD(call_list, call);

struct calls {
    struct call *pool; /* heap, CALLS_MAX */
    struct call_list waiting;
    struct call_list answered; /* the reply is made, and not yet said */
    struct call_list unused;
    size_t fresh; /* calls from here on were never used: their pages cost nothing yet */
    size_t n;
    size_t secrets_n;
};

MUST_USE err_t calls_init(struct calls *calls);
void calls_done(struct calls *calls);

/*
 * Copies `call` with its payload and lets it wait. A call that waits already only changes its
 * reason. E_LIMIT: 512 wait, or the arena is used up.
 */
MUST_USE err_t calls_park(struct calls *calls, struct call *call);
/* True for a call of the pool. */
bool calls_owns(const struct calls *calls, const struct call *call);
/*
 * Its waiting is over: takes the reply, wipes the payload. Said later, so that no caller is
 * re-entered.
 */
void calls_answer(struct calls *calls, struct call *call, struct service_reply *reply);
/* The next reply to say; false when none. Its body is the caller's. */
bool calls_next_answer(struct calls *calls, struct ticket *ret_ticket,
                       struct service_reply *ret_reply);
/* Forgets a call of the pool in any state. */
void calls_end(struct calls *calls, struct call *call);
/* NULL: not here. */
struct call *calls_find(struct calls *calls, struct ticket ticket);
bool calls_want_seed(const struct calls *calls, const uint8_t key[32]);
/* Earliest expiry; INT64_MAX none. */
int64_t calls_next_ms(const struct calls *calls);

#endif
