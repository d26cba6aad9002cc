/*
 * client: the only door to the token process from outside this room. Loop-free: the owner watches
 * client_fd for reading, calls client_readable when it is, and client_tick at client_next_ms.
 * Each call has its own callback, called from within client_readable, client_tick or client_attach,
 * never from within client_call. It may call client_call and client_cancel. One thread.
 *
 * Calls are queued here (256 at most) and sent at most `window` at a time, in the order of their
 * class; dead or expired ones are dropped without troubling the token. They wait while the token is
 * not ready (IPC_PHASE_READY), until their deadline, then fail with E_UNAVAILABLE. When the token
 * process dies, wraps, unwraps and random draws in flight are sent once more to its successor;
 * other calls fail. The client pings every 2 s; 10 s without an answer asks the owner to have it
 * killed.
 */
#ifndef TOKEN_CLIENT_H
#define TOKEN_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "token/ipc.h"

#define CLIENT_QUEUE_MAX 256u
#define CLIENT_KEYS_MAX  1024u
/* Bytes of a call and of its reply: a block of the arena. */
#define CLIENT_PAYLOAD_MAX SECRET_2KIB_BYTES
#define CLIENT_CALL_MS   2500 /* no call waits longer for the token */

enum client_class {
    CLIENT_CANARY,     /* canary, listing, proofs */
    CLIENT_KNOWN,      /* a live call for a seed that is remembered here */
    CLIENT_LIVE,       /* any other live call */
    CLIENT_BACKGROUND, /* re-opening remembered seeds */
    CLIENT_CLASSES
};

struct client_reply;

struct client_request {
    enum ipc_verb verb; /* LIST, GENERATE, WRAP, UNWRAP, RANDOM */
    enum client_class class;
    /* Takes the reply, exactly once; never after client_cancel. */
    void (*done)(void *ctx, const struct client_reply *reply);
    /* Whose call it is, and its name for client_cancel: outlives the call. */
    void *ctx;
    /* CLOCK_MONOTONIC; capped at now + CLIENT_CALL_MS (LIST: 10 s; GENERATE: half an hour) */
    int64_t deadline_ms;
    struct ipc_list list;
    struct ipc_generate generate;
    struct ipc_key_ref key; /* WRAP, UNWRAP */
    struct span aad;        /* copied */
    /* WRAP: what is wrapped; UNWRAP: the wrapped bytes. Copied into the arena. */
    struct span data;
    uint32_t random_n;
};

struct client_reply {
    enum ipc_verb verb;
    /*
     * OK; E_INVALID: this blob never opens; E_NOT_FOUND: no such key; E_UNAVAILABLE: token;
     * E_DEADLINE; E_LIMIT: back-pressure; E_TOKEN: key or config fault (detail = CK_RV); E_STATE:
     * generate with too little notice; E_UNSUPPORTED: generate without a mechanism (detail = enum
     * ipc_mechanism).
     */
    err_t err;
    uint64_t rv;              /* CK_RV for the log */
    struct span data;         /* WRAP, UNWRAP, RANDOM: in the arena; gone after the callback */
    /* LIST: the complete listing; GENERATE: one; gone after the callback */
    const struct ipc_key *keys;
    size_t keys_n;
};

struct client_events {
    void *ctx;
    void (*on_status)(void *ctx, const struct ipc_status *status); /* phase or text changed */
    /* 10 s without an answer: kill the process; said every 10 s until it is gone */
    void (*on_hung)(void *ctx);
};

struct client;

/* window: calls in flight at once, the token's sessions. Needs SECRET_2KIB in the arena. */
MUST_USE err_t client_new(const struct client_events *events, unsigned window,
                          struct client **ret_client);
void client_free(struct client *client);
DEFINE_CLEANUP(struct client *, client_free)

/*
 * A new token process: takes the descriptor (made non-blocking). Replaces and closes an older one.
 */
void client_attach(struct client *client, int fd, int64_t now_ms);
/* -1 while there is none. */
int client_fd(const struct client *client);
/*
 * Reads what is there, 1024 frames at most: the owner's watch must be level triggered. A peer that
 * closed or broke the protocol is detached.
 */
void client_readable(struct client *client, int64_t now_ms);
/* Pings, expires, sends. Call it at client_next_ms and after client_call. */
void client_tick(struct client *client, int64_t now_ms);
/* CLOCK_MONOTONIC ms of the next thing to do; INT64_MAX: nothing. */
int64_t client_next_ms(const struct client *client);

/*
 * Queues a call; E_LIMIT when 256 wait or the arena is used up, in which two calls of CLIENT_CANARY
 * have room of their own. The reply comes later.
 */
MUST_USE err_t client_call(struct client *client, const struct client_request *request,
                           int64_t now_ms);
/*
 * The caller is gone: drops every call of this ctx that still waits, and lets the reply of those
 * that run fall. No callback.
 */
void client_cancel(struct client *client, const void *ctx);

/* Last status heard; phase STARTING before the first. */
const struct ipc_status *client_status(const struct client *client);
/* Calls that wait or run. */
size_t client_load(const struct client *client);

#endif
