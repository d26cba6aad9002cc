/*
 * token: one token, as this room sees it: the way to its process, and what is known of its keys.
 * Each knows for itself what it lists, refuses and opens; so a second one is one more element of
 * `tokens`, and one that is away takes nothing from the others. An absent token is not an empty
 * one: its last listing stands, and without any nobody can say what it lacks.
 */
#ifndef SERVER_KMS_TOKEN_H
#define SERVER_KMS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "base/own.h"
#include "keys/ring.h"
#include "server/kms/directory.h"
#include "server/kms/lister.h"
#include "server/kms/refused.h"
#include "server/kms/times.h"
#include "server/kms/unread.h"
#include "server/kms/unwraps.h"
#include "server/rotation/rotation.h"
#include "token/client.h"

struct token_events {
    void *ctx;
    /*
     * A listing has ended. OK: tokens_ring is of it, with `all` every key that it holds can be
     * found.
     */
    void (*on_listed)(void *ctx, err_t err, bool all);
    /* It has opened a seed, or says why not. */
    void (*on_unwrapped)(void *ctx, const struct unwrap *unwrap, const struct client_reply *reply);
    /* Its process does not answer: to be killed. */
    void (*on_hung)(void *ctx);
};

/* Heap: its parts point at each other. */
struct token {
    const struct config *config; /* borrowed; a reload changes it in place */
    size_t number;               /* config->tokens[number] */
    struct token_events events;
    struct client *client;
    struct lister lister;
    struct unwraps unwraps;
    struct directory directory;
    struct refused refused;
    struct unread unread;
    bool listed;                             /* completely, at least once */
    struct ring_key keys[ROTATION_KEYS_MAX]; /* those of the ring, by the last complete listing */
    size_t keys_n;
};

/* The first makes new KEKs. */
struct tokens {
    struct token *at[CONFIG_TOKENS_MAX];
    size_t n;
    uint64_t listings; /* of all keys that were started, on whichever token */
};

/* Where a KEK lies, and by which name the token finds it. */
struct token_place {
    struct token *token;           /* NULL: nowhere that is known */
    const struct ipc_key_ref *ref; /* valid until the next listing of that token */
};

/* One for each token of the configuration, which must outlive them, as `tokens` must. */
MUST_USE err_t tokens_init(struct tokens *tokens, const struct config *config,
                           const struct token_events *events);
void tokens_done(struct tokens *tokens);
/* Sends, expires, pings. */
void tokens_tick(struct tokens *tokens, int64_t mono_ms);
/* CLOCK_MONOTONIC ms of the next thing that tokens_tick has to do. */
int64_t tokens_next_ms(const struct tokens *tokens);

bool token_is_ready(const struct token *token);
/*
 * Boot ms of its next listing, given when rotation wants one; INT64_MAX while it is away or lists.
 */
int64_t token_list_ms(const struct token *token, int64_t list_at_ms);
/* Starts one that also says what the token sees of this KEK first; NULL: none serves. */
MUST_USE err_t token_list(struct token *token, const struct ring_key *serving, struct times now);

/* The first token that is known to hold this KEK. */
struct token_place tokens_find(const struct tokens *tokens, const uint8_t kek_id[KEK_ID_LEN]);
/*
 * The keys of the ring on all tokens, at most ROTATION_KEYS_MAX; each as often as a token lists it,
 * but once if several do. *ret_whole false: a token was never listed, and may hold others.
 */
size_t tokens_ring(const struct tokens *tokens, struct ring_key *ret_keys, bool *ret_whole);
/* A key that could not be read may be any. */
bool tokens_unread(const struct tokens *tokens);
/*
 * Asks for a listing of all keys of every token. It is complete when tokens_all_listed has reached
 * the number that this returns: a listing that runs now may have missed the key.
 */
uint64_t tokens_want_all(struct tokens *tokens);
uint64_t tokens_all_listed(const struct tokens *tokens);

/* Seeds that are being opened in advance. */
size_t tokens_background(const struct tokens *tokens);
/* As unwraps_mark_again and unwraps_abandon, whichever token is asked. */
void tokens_mark_again(struct tokens *tokens, const uint8_t key[32]);
void tokens_abandon(struct tokens *tokens, const uint8_t key[32]);

#endif
