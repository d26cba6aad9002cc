#define _GNU_SOURCE
#include "tests/kit/fake_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/version.h"
#include "tests/kit/fake_token_inside.h"

struct fake_token *fake_token_new(int64_t now_s)
{
    struct fake_token *token = calloc(1, sizeof(*token));
    must(token != NULL);
    token->fd = -1;
    token->now_s = now_s;
    token->build_id = P11KMS_BUILD_ID;
    token->status = (struct ipc_status){.phase = IPC_PHASE_READY,
                                        .logins = 1,
                                        .token = "fake",
                                        .serial = "0000000000000001",
                                        .model = "fake",
                                        .manufacturer = "p11-kms tests"};
    return token;
}

void fake_token_free(struct fake_token *token)
{
    if (token != NULL) {
        fake_token_die(token);
        free(token);
    }
}

static bool has_unsent(const struct fake_token *token)
{
    return token->unsent_sent < token->unsent_n;
}

static void keep_unsent(struct fake_token *token, const struct answer *answer)
{
    token->unsent = reallocarray(token->unsent, token->unsent_n + 1, sizeof(*answer));
    must(token->unsent != NULL);
    token->unsent[token->unsent_n++] = *answer;
}

static void forget_unsent(struct fake_token *token)
{
    free(token->unsent);
    token->unsent = NULL;
    token->unsent_n = 0;
    token->unsent_sent = 0;
}

/* False: the socket is full. */
static bool send_now(struct fake_token *token, struct answer *answer)
{
    err_t err = ipc_send(token->fd, &answer->header, span_of(answer->data, answer->len));
    if (failed(err) && err.code != E_UNAVAILABLE) {
        fake_token_die(token);
    }
    return err.code != E_UNAVAILABLE;
}

void fake_token_send(struct fake_token *token, struct answer *answer)
{
    if (token->fd >= 0 && (has_unsent(token) || !send_now(token, answer))) {
        keep_unsent(token, answer);
    }
}

/* How many went out. */
static size_t send_unsent(struct fake_token *token)
{
    size_t n = 0;
    while (has_unsent(token) && send_now(token, &token->unsent[token->unsent_sent])) {
        token->unsent_sent++;
        n++;
    }
    if (!has_unsent(token)) {
        forget_unsent(token);
    }
    return n;
}

int fake_token_connect(struct fake_token *token)
{
    int fds[2];
    fake_token_die(token);
    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    token->fd = fds[0];
    struct ipc_header hello = {.verb = IPC_HELLO};
    must(!failed(ipc_send(token->fd, &hello, span_of_text(token->build_id))));
    return fds[1];
}

void fake_token_die(struct fake_token *token)
{
    if (token->fd >= 0) {
        (void)close(token->fd);
    }
    token->fd = -1;
    token->faults_n = 0;
    token->delayed_n = 0;
    forget_unsent(token);
}

void fake_token_set_time(struct fake_token *token, int64_t now_s)
{
    token->now_s = now_s;
}

void fake_token_set_phase(struct fake_token *token, enum ipc_phase phase, const char *text)
{
    token->status.phase = (uint32_t)phase;
    (void)snprintf(token->status.text, sizeof(token->status.text), "%s", text);
    if (token->fd >= 0 && !token->hung) {
        struct ipc_header unasked = {.verb = IPC_PROBE, .flags = IPC_REPLY};
        must(
            !failed(ipc_send(token->fd, &unasked, span_of(&token->status, sizeof(token->status)))));
    }
}

void fake_token_set_build_id(struct fake_token *token, const char *build_id)
{
    token->build_id = build_id == NULL ? P11KMS_BUILD_ID : build_id;
}

struct fake_key *fake_token_key(struct fake_token *token, size_t index)
{
    must(index < token->keys_n);
    return &token->keys[index];
}

size_t fake_token_key_count(const struct fake_token *token)
{
    return token->keys_n;
}

static void add_fault(struct fake_token *token, struct fault fault)
{
    must(token->faults_n < FAULTS_MAX);
    token->faults[token->faults_n++] = fault;
}

void fake_token_fault(struct fake_token *token, enum ipc_verb verb, enum fake_fault fault)
{
    add_fault(token, (struct fault){.verb = verb, .kind = fault, .outcome = IPC_UNAVAILABLE});
}

void fake_token_refuse(struct fake_token *token, enum ipc_verb verb, enum ipc_outcome outcome,
                       uint64_t rv)
{
    add_fault(token,
              (struct fault){.verb = verb, .kind = FAKE_OUTCOME, .outcome = outcome, .rv = rv});
}

void fake_token_refuse_all(struct fake_token *token, enum ipc_verb verb, enum ipc_outcome outcome,
                           uint64_t rv)
{
    token->always =
        (struct fault){.verb = verb, .kind = FAKE_OUTCOME, .outcome = outcome, .rv = rv};
}

static bool take_fault(struct fake_token *token, enum ipc_verb verb, struct fault *fault)
{
    for (size_t i = 0; i < token->faults_n; i++) {
        if (token->faults[i].verb == verb) {
            *fault = token->faults[i];
            token->faults_n--;
            memmove(&token->faults[i], &token->faults[i + 1],
                    (token->faults_n - i) * sizeof(struct fault));
            return true;
        }
    }
    *fault = token->always;
    return fault->verb == verb && fault->outcome != IPC_OK;
}

void fake_token_release(struct fake_token *token)
{
    size_t n = token->delayed_n;
    token->delayed_n = 0;
    for (size_t i = 0; i < n; i++) {
        fake_token_send(token, &token->delayed[i]);
    }
}

void fake_token_hang(struct fake_token *token, bool hung)
{
    token->hung = hung;
}

unsigned fake_token_calls(const struct fake_token *token, enum ipc_verb verb)
{
    return token->calls[verb];
}

struct ipc_header fake_token_last(const struct fake_token *token, enum ipc_verb verb)
{
    return token->last[verb];
}

/* Sends the answer as the fault wants it. */
static void deliver(struct fake_token *token, const struct fault *fault, struct answer *answer)
{
    switch (fault->kind) {
    case FAKE_OUTCOME:
        fake_token_refused(answer, fault->outcome);
        answer->header.rv = fault->rv;
        fake_token_send(token, answer);
        break;
    case FAKE_DELAY:
        must(token->delayed_n < DELAYED_MAX);
        token->delayed[token->delayed_n++] = *answer;
        break;
    case FAKE_CORRUPT:
        must(answer->len > 0);
        answer->data[answer->len - 1] ^= 1;
        fake_token_send(token, answer);
        break;
    case FAKE_BAD_FRAME:
        (void)send(token->fd, "not a frame of ours, surely not", 31, MSG_NOSIGNAL);
        break;
    case FAKE_DROP:
    case FAKE_CLOSE:
        break;
    }
}

static void answer_request(struct fake_token *token, const struct ipc_header *header,
                           struct span payload)
{
    struct fault fault;
    struct answer answer = {
        .header = {.verb = header->verb, .flags = IPC_REPLY, .call = header->call}};
    token->calls[header->verb]++;
    token->last[header->verb] = *header;
    if (header->verb == IPC_HELLO) {
        return;
    }
    bool faulty = take_fault(token, (enum ipc_verb)header->verb, &fault);
    if (faulty && fault.kind == FAKE_CLOSE) {
        fake_token_die(token);
        return;
    }
    if (!faulty || fault.kind != FAKE_OUTCOME) {
        fake_token_work(token, payload, &answer);
    }
    if (faulty) {
        deliver(token, &fault, &answer);
    } else {
        fake_token_send(token, &answer);
    }
}

size_t fake_token_pump(struct fake_token *token)
{
    uint8_t room[IPC_PAYLOAD_MAX];
    struct ipc_header header;
    struct span payload;
    size_t n = token->hung ? 0 : send_unsent(token);
    while (token->fd >= 0 && !token->hung) {
        err_t err = ipc_receive(token->fd, &header, span_mut_of(room, sizeof(room)), &payload);
        if (err.code == E_NOT_FOUND) {
            fake_token_die(token);
        }
        if (failed(err)) {
            must(err.code == E_UNAVAILABLE || err.code == E_NOT_FOUND);
            return n;
        }
        answer_request(token, &header, payload);
        n++;
    }
    return n;
}
