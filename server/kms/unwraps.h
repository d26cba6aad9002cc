/*
 * unwraps: seeds that the token is opening just now. However many calls want the same wrapped seed,
 * the token is asked once. Who waits for it is kept elsewhere (calls.h).
 */
#ifndef SERVER_KMS_UNWRAPS_H
#define SERVER_KMS_UNWRAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "token/client.h"
#include "server/kms/seeds.h"

/* the queue of the client keeps room for canary, listing and proofs */
#define UNWRAPS_MAX            240u
#define UNWRAPS_BACKGROUND_MAX 4u

struct unwraps;

struct unwrap {
    struct unwraps *owner; /* NULL: free */
    enum client_class class;
    int64_t started_ms;
    bool again;      /* what it opened to before did not fit */
    struct seed_name name;
};

struct unwraps_events {
    void *ctx;
    /* What the token made of it. Both are gone after the callback; the seed may be asked anew. */
    void (*on_reply)(void *ctx, const struct unwrap *unwrap, const struct client_reply *reply);
};

struct unwraps {
    struct client *client;
    struct unwraps_events events;
    size_t n;
    size_t background_n;
    struct unwrap slots[UNWRAPS_MAX];
};

/* *unwraps is zero (it may lie in pages that were never touched), and must not move afterwards. */
void unwraps_init(struct unwraps *unwraps, struct client *client,
                  const struct unwraps_events *events);
/*
 * Asks the token, or joins the asking that runs; a more urgent class takes over. E_LIMIT: too many,
 * or the client's queue is full.
 */
MUST_USE err_t unwraps_start(struct unwraps *unwraps, const struct seed_name *name,
                             const struct ipc_key_ref *ref, enum client_class class,
                             int64_t mono_ms);
/* The asking for this seed that runs is a second one. */
void unwraps_mark_again(struct unwraps *unwraps, const uint8_t key[32]);
/* Nobody waits any more: a queued call is dropped, but not one of the background. */
void unwraps_abandon(struct unwraps *unwraps, const uint8_t key[32]);

/* The request to unwrap, for whoever speaks to the client. `aad` holds ENVELOPE_WRAP_AAD bytes. */
struct client_request unwraps_request(const struct seed_name *name, const struct ipc_key_ref *ref,
                                      uint8_t *aad, int64_t mono_ms);

#endif
