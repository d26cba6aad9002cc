/*
 * Frames of a token process gone mad: every input is a row of frames, each a length byte and that
 * many bytes, sent to a client with calls of every verb under way. A byte 0xff ahead makes the
 * header of the frame right, so that the payload is reached.
 */
#include "token/client.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/version.h"
#include "tests/fuzz/fuzz.h"

#define NOW_MS 1000

static const struct secret_budget budget = {.amount = {[SECRET_2KIB] = 16}};

static void on_reply(void *ctx, const struct client_reply *reply)
{
    unsigned *left = ctx;
    if (*left == 0 || (!failed(reply->err) && reply->keys_n > CLIENT_KEYS_MAX)) {
        abort(); /* more replies than calls */
    }
    (*left)--;
}

static void on_hung(void *ctx)
{
    (void)ctx;
}

static void make_calls(struct client *client, unsigned *left)
{
    static const enum ipc_verb verbs[] = {IPC_LIST, IPC_GENERATE, IPC_WRAP, IPC_UNWRAP, IPC_RANDOM};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        struct client_request request = {.verb = verbs[i],
                                         .done = on_reply,
                                         .ctx = left,
                                         .deadline_ms = NOW_MS + 1000,
                                         .key = {.id_len = 1, .scheme = 1},
                                         .generate = {.ring = "test"},
                                         .data = span_of_text("data"),
                                         .random_n = 32};
        *left += !failed(client_call(client, &request, NOW_MS));
    }
}

static void become_ready(struct client *client, int fd)
{
    struct ipc_status status = {.phase = IPC_PHASE_READY};
    struct ipc_header hello = {.verb = IPC_HELLO};
    struct ipc_header pong = {.verb = IPC_PROBE, .flags = IPC_REPLY, .call = 1};
    (void)failed(ipc_send(fd, &hello, span_of_text(P11KMS_BUILD_ID)));
    (void)failed(ipc_send(fd, &pong, span_of(&status, sizeof(status))));
    client_readable(client, NOW_MS);
}

static void send_frame(int fd, struct cursor *c)
{
    uint8_t mode = cursor_u8(c);
    size_t len = cursor_u8(c);
    len = len < c->rest.len ? len : c->rest.len;
    if (mode != 0xff) {
        struct span raw = cursor_bytes(c, len);
        (void)send(fd, raw.ptr, raw.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    struct ipc_header header = {.flags = IPC_REPLY};
    header.verb = (uint16_t)(1 + cursor_u8(c) % (IPC_VERBS - 1));
    header.call = cursor_u8(c);
    header.outcome = cursor_u8(c) % (IPC_LACKS + 1);
    uint8_t room[sizeof(struct ipc_key)] = {0};
    struct span payload = cursor_bytes(c, len < c->rest.len ? len : c->rest.len);
    (void)span_copy(span_mut_of(room, sizeof(room)), payload);
    (void)failed(
        ipc_send(fd, &header, span_of(room, (mode & len) != 0 ? sizeof(room) : payload.len)));
}

static void run(struct cursor c)
{
    static const struct client_events events = {.on_hung = on_hung};
    unsigned left = 0;
    int fds[2];
    struct client_events mine = events;
    struct client *client = NULL;
    mine.ctx = &left;
    if (failed(client_new(&mine, 8, &client)) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        abort();
    }
    client_attach(client, fds[1], NOW_MS);
    make_calls(client, &left);
    become_ready(client, fds[0]);
    while (!c.bad && c.rest.len > 0 && client_fd(client) >= 0) {
        send_frame(fds[0], &c);
        client_readable(client, NOW_MS);
    }
    (void)close(fds[0]);
    client_free(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (failed(secret_init(&budget))) {
        abort();
    }
    run(cursor_of(span_of(data, size)));
    if (secret_in_use(SECRET_2KIB) != 0) {
        abort();
    }
    secret_done();
    return 0;
}
