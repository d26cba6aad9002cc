/*
 * client_job: one call of the client, from client_call to its reply: what goes on the wire for it
 * and what comes back. Knows frames, not when to send them.
 */
#ifndef TOKEN_CLIENT_JOB_H
#define TOKEN_CLIENT_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "token/client.h"

#define JOB_SPARES 2u

/* Payloads that only calls of CLIENT_CANARY get, when clients hold all the others. */
struct job_spares {
    struct secret *slots[JOB_SPARES]; /* NULL: in use */
};

MUST_USE err_t job_spares_init(struct job_spares *spares);
/* After the last job. */
void job_spares_done(struct job_spares *spares);

struct job {
    TAILQ_ENTRY(job) link;
    enum ipc_verb verb;
    enum client_class class;
    void (*done)(void *ctx, const struct client_reply *reply);
    void *ctx;
    int64_t deadline_ms;
    uint64_t number; /* of the call on the wire; 0 while it waits */
    bool resent;     /* its first process died under it */
    bool abandoned;  /* nobody waits for the reply, but a session of the token is busy with it */
    struct secret *payload;
    struct secret **spare; /* where the payload goes back to; NULL: it is the arena's */
    struct ipc_key *keys; /* LIST: what has been listed so far; GENERATE: the new key */
    size_t keys_n;
    size_t keys_cap;
    size_t heard; /* keys listed, those that did not fit included */
};

TAILQ_HEAD(job_list, job);

/*
 * Encodes the request into the arena. E_LIMIT when that is used up, E_INVALID for sizes out of
 * range.
 */
MUST_USE err_t job_new(const struct client_request *request, int64_t now_ms,
                       struct job_spares *spares, struct job **ret_job);
void job_free(struct job *job);
DEFINE_CLEANUP(struct job *, job_free)

/* Ready to be sent once more: forgets what a dead process had answered so far. */
void job_rewind(struct job *job);
/* True when it may be given to a second process without asking its caller. */
bool job_repeats(const struct job *job);

/*
 * A reply frame of this job. *ret_done: it was the last one and *ret_reply is complete (its spans
 * borrow from the payload and the job). E_PROTOCOL: no frame that a sound token process sends.
 */
MUST_USE err_t job_take(struct job *job, const struct ipc_header *header, struct span payload,
                        bool *ret_done, struct client_reply *ret_reply);

#endif
