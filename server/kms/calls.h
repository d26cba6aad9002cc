/*
 * calls: client calls that wait, at most CALLS_MAX. A parked call holds a ticket and a copy of its
 * payload; plaintext lies in the arena. When what it waits for happens it is simply tried again.
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
#include "server/kms/call.h"

#define CALLS_MAX         512u
/* of them with plaintext: each takes a slot of the arena, as replies do */
#define CALLS_SECRETS_MAX 128u

/* A call that waits, with bytes of its own. */
struct parked {
    TAILQ_ENTRY(parked) link;
    struct call call; /* borrows from the two below */
    uint8_t ciphertext[ENVELOPE_MAX];
    struct secret *plaintext;
    bool answered;
    struct service_reply reply; /* once answered, until it is said */
};

TAILQ_HEAD(parked_list, parked);

struct calls {
    struct parked *pool; /* heap, CALLS_MAX */
    struct parked_list waiting;
    struct parked_list answered; /* the reply is made, and not yet said */
    struct parked_list unused;
    size_t fresh; /* places from here on were never used: their pages cost nothing yet */
    size_t n;
    size_t secrets_n;
};

MUST_USE err_t calls_init(struct calls *calls);
void calls_done(struct calls *calls);

/*
 * Copies `call` with its payload and lets it wait. E_LIMIT: 512 wait, or the arena is used up.
 */
MUST_USE err_t calls_park(struct calls *calls, const struct call *call);
/*
 * Its waiting is over: takes the reply, wipes the payload. Said later, so that no caller is
 * re-entered.
 */
void calls_answer(struct calls *calls, struct parked *parked, struct service_reply *reply);
/* The next reply to say; false when none. Its body is the caller's. */
bool calls_next_answer(struct calls *calls, struct ticket *ret_ticket,
                       struct service_reply *ret_reply);
/* Forgets it, answered or not. */
void calls_end(struct calls *calls, struct parked *parked);
/* NULL: not here. */
struct parked *calls_find(struct calls *calls, struct ticket ticket);
/* Does any call wait for this? */
bool calls_wait_for(const struct calls *calls, const struct call_wait *wait);
/* Earliest expiry; INT64_MAX none. */
int64_t calls_next_ms(const struct calls *calls);

#endif
