/* fake_token_inside: what the two files of fake_token share; not for tests. */
#ifndef TESTS_KIT_FAKE_TOKEN_INSIDE_H
#define TESTS_KIT_FAKE_TOKEN_INSIDE_H

#include <stdlib.h>

#include "base/span.h"
#include "tests/kit/fake_token.h"

#define FAULTS_MAX  8
#define DELAYED_MAX 64
#define FRAME_MAX   2048u

struct fault {
    enum ipc_verb verb;
    enum fake_fault kind;
    enum ipc_outcome outcome;
    uint64_t rv;
};

struct answer {
    struct ipc_header header;
    uint8_t data[FRAME_MAX];
    size_t len;
};

struct fake_token {
    int fd;
    int64_t now_s;
    bool hung;
    const char *build_id;
    struct ipc_status status;
    struct fake_key keys[FAKE_TOKEN_KEYS];
    size_t keys_n;
    struct fault faults[FAULTS_MAX];
    size_t faults_n;
    struct fault always; /* outcome IPC_OK: none */
    struct answer delayed[DELAYED_MAX];
    size_t delayed_n;
    struct answer *unsent; /* what found no room in the socket, from unsent_sent on */
    size_t unsent_n;
    size_t unsent_sent;
    unsigned calls[IPC_VERBS];
    struct ipc_header last[IPC_VERBS];
};

static inline void must(bool good)
{
    if (!good) {
        abort();
    }
}

/*
 * Sends it, now or at the next pump when the socket is full; a peer that is gone ends the process.
 */
void fake_token_send(struct fake_token *token, struct answer *answer);
/* Does what the request asks for; a listing sends its keys at once. */
void fake_token_work(struct fake_token *token, struct span payload, struct answer *answer);
void fake_token_refused(struct answer *answer, enum ipc_outcome outcome);

#endif
