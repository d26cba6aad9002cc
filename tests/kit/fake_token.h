/*
 * fake_token: the token process, in process and in software, for tests of everything that lies
 * behind token/client.h. It speaks the frames of token/ipc.h on one end of a socketpair and moves
 * only when the test pumps it, so a test decides what happens between a request and its reply. Real
 * AES-256-GCM and the real fingerprint. Any trouble of its own aborts.
 *
 *     struct fake_token *token = fake_token_new(now_s);
 *     size_t kek = fake_token_add_key(token, "test", now_s, now_s);
 *     client_attach(client, fake_token_connect(token), now_ms);
 *     ... fake_token_pump(token); client_readable(client, now_ms); client_tick(client, now_ms); ...
 *
 * The first pump after fake_token_connect answers HELLO and the first ping, so that calls flow
 * after the first client_readable.
 */
#ifndef TESTS_KIT_FAKE_TOKEN_H
#define TESTS_KIT_FAKE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "token/ipc.h"

#define FAKE_TOKEN_KEYS 2048u

/* A key of the table. Tests may change every field at any time. */
struct fake_key {
    uint8_t id[16];
    uint8_t value[32];
    char label[64];
    uint32_t bad;          /* enum ipc_attribute bits, reported in listings */
    uint32_t not_reported;
    uint32_t state;        /* enum ipc_key_state; unreadable with an empty label: unnamed */
    bool gone;             /* deleted from the token */
};

enum fake_fault {
    FAKE_OUTCOME, /* answer with the outcome given instead of doing it */
    FAKE_DROP,    /* do it and never answer */
    FAKE_DELAY,   /* do it and keep the answer until fake_token_release */
    FAKE_CLOSE,   /* die before doing it */
    FAKE_CORRUPT, /* answer with the last byte of the data changed */
    FAKE_BAD_FRAME /* answer with a frame of the wrong magic */
};

struct fake_token;

/* Phase READY, no keys. now_s: its wall clock. */
struct fake_token *fake_token_new(int64_t now_s);
void fake_token_free(struct fake_token *token);
DEFINE_CLEANUP(struct fake_token *, fake_token_free)

/*
 * As a freshly started process: a new socketpair, HELLO said. Returns the client's end, the
 * caller's.
 */
int fake_token_connect(struct fake_token *token);
/* As a process that dies: closes its end, forgets delayed replies and faults. The keys stay. */
void fake_token_die(struct fake_token *token);
/*
 * Sends what found no room in the socket before, and answers every frame that waits. Returns how
 * many of both; 0 when not connected.
 */
size_t fake_token_pump(struct fake_token *token);

void fake_token_set_time(struct fake_token *token, int64_t now_s);
/*
 * What pings answer from now on, said at once too. In any phase but READY calls are answered
 * IPC_UNAVAILABLE.
 */
void fake_token_set_phase(struct fake_token *token, enum ipc_phase phase, const char *text);
/* HELLO of the next connect carries this build id instead of ours; NULL: ours. A literal. */
void fake_token_set_build_id(struct fake_token *token, const char *build_id);

/* A key labelled p11k:<ring>:<not-before>:<created> with random id and value. Returns its index. */
size_t fake_token_add_key(struct fake_token *token, const char *ring, uint32_t not_before,
                          uint32_t created);
struct fake_key *fake_token_key(struct fake_token *token, size_t index);
size_t fake_token_key_count(const struct fake_token *token);
/* How clients name it. */
struct ipc_key_ref fake_token_ref(struct fake_token *token, size_t index);

/* The next request of this verb meets the fault, once. Faults of one verb queue up (8 in all). */
void fake_token_fault(struct fake_token *token, enum ipc_verb verb, enum fake_fault fault);
/* FAKE_OUTCOME with this outcome and CK_RV. */
void fake_token_refuse(struct fake_token *token, enum ipc_verb verb, enum ipc_outcome outcome,
                       uint64_t rv);
/* Every request of this verb from now on; IPC_OK ends it. One verb at a time. */
void fake_token_refuse_all(struct fake_token *token, enum ipc_verb verb, enum ipc_outcome outcome,
                           uint64_t rv);
/* Sends what FAKE_DELAY kept. */
void fake_token_release(struct fake_token *token);
/* While true pump reads nothing at all: a hung process. */
void fake_token_hang(struct fake_token *token, bool hung);

/* Requests of this verb seen since fake_token_new. */
unsigned fake_token_calls(const struct fake_token *token, enum ipc_verb verb);
/* The last request of this verb: its header, and the first data byte of WRAP and UNWRAP. */
struct ipc_header fake_token_last(const struct fake_token *token, enum ipc_verb verb);

#endif
