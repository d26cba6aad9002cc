/*
 * A front for the tests of the supervisor. It speaks the contract of base/role.h, and tells whoever
 * connects one line: "pid=P token=T greets=G config=L state=S env=N" (T: token sockets got, G: pid
 * said by the token process on the last of them, L: log level, S: bytes of its state file, N:
 * variables of its environment). A client that sends a letter orders:
 *   w writes a state file   p writes a file that is not its own   k has the token killed
 *   o has the token before this one killed   x ends with status 1
 *   h does not end when it is to drain
 *   l says much, writes a state file and ends without waiting
 *   m writes many state files without waiting
 *   d writes several state files without waiting, and ends
 *   c ends as one that cannot start (a front of the ring "never" does so at its start)
 *   r says that it is ready (a front of the ring "late" does so on this order only)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"

struct fake {
    struct config config;
    int token_fd;
    int tokens;
    int64_t token; /* as its keeper names it */
    bool hangs;
    long stored; /* errno of the last put, -1: not yet */
    long state;  /* bytes of the state file, 0 without one, -1: not yet told */
};

static void tell(enum role_kind kind, int64_t value, const char *text)
{
    struct role_message message = {.kind = kind, .value = value};
    (void)snprintf(message.text, sizeof(message.text), "%s", text);
    (void)!failed(role_send(ROLE_FD_CONTROL, &message, -1));
}

static void take_message(struct fake *fake)
{
    struct role_message message;
    int fd = -1;
    if (failed(role_receive(ROLE_FD_CONTROL, true, &message, &fd))) {
        exit(EXIT_SUCCESS);
    }
    if (message.kind == ROLE_TOKEN_SOCKET) {
        own_fd_close_p(&fake->token_fd);
        fake->token_fd = fd;
        fake->tokens++;
        fake->token = message.value;
        return;
    }
    OWN_FD owned = fd;
    if (message.kind == ROLE_SERVICE_SOCKET) {
        (void)dup3(owned, ROLE_FD_SERVICE, O_CLOEXEC);
    } else if (message.kind == ROLE_RELOAD) {
        (void)!failed(role_config_read(owned, &fake->config));
    } else if (message.kind == ROLE_STATE_STORED) {
        fake->stored = (long)message.value;
    } else if (message.kind == ROLE_STATE_DATA) {
        fake->state = message.value < 0 ? 0 : (long)message.value;
    } else if (message.kind == ROLE_PING) {
        tell(ROLE_PONG, 0, "");
    } else if (message.kind == ROLE_DRAIN && !fake->hangs) {
        exit(EXIT_SUCCESS);
    }
}

static void obey(struct fake *fake, char order)
{
    static const char bytes[] = "remember";
    struct span state = span_of(bytes, sizeof(bytes) - 1);
    fake->stored = -1;
    if (order == 'w' || order == 'p') {
        (void)!failed(
            role_put_state(ROLE_FD_CONTROL, order == 'w' ? STATE_SEEDS : STATE_PIN, state, 1));
        while (fake->stored < 0) {
            take_message(fake);
        }
    } else if (order == 'm') {
        for (int i = 0; i < 10; i++) {
            (void)!failed(role_put_state(ROLE_FD_CONTROL, STATE_SEEDS, state, 1));
        }
    } else if (order == 'k') {
        tell(ROLE_KILL_TOKEN, fake->token, "the test says so");
    } else if (order == 'o') {
        tell(ROLE_KILL_TOKEN, fake->token - 1, "too late");
    } else if (order == 'l') {
        for (int i = 0; i < 50; i++) {
            tell(ROLE_STATUS, 0, "last words");
        }
        (void)!failed(role_put_state(ROLE_FD_CONTROL, STATE_SEEDS, state, 1));
        exit(EXIT_FAILURE);
    } else if (order == 'd') {
        for (int i = 0; i < 6; i++) {
            (void)!failed(role_put_state(ROLE_FD_CONTROL, STATE_SEEDS, state, 1));
        }
        exit(EXIT_FAILURE);
    } else if (order == 'r') {
        tell(ROLE_READY, 0, "");
    } else if (order == 'c') {
        exit(ROLE_EXIT_LASTING);
    } else if (order == 'x') {
        exit(EXIT_FAILURE);
    } else if (order == 'h') {
        fake->hangs = true;
    }
}

/* Not the blocking form: what comes before the answer, such as a reload, must take effect. */
static void ask_state(struct fake *fake)
{
    const struct role_message ask = {.kind = ROLE_STATE_GET, .file = STATE_SEEDS};
    fake->state = -1;
    (void)!failed(role_send(ROLE_FD_CONTROL, &ask, -1));
    while (fake->state < 0) {
        take_message(fake);
    }
}

static void serve(struct fake *fake)
{
    OWN_FD peer = accept4(ROLE_FD_SERVICE, NULL, NULL, SOCK_CLOEXEC);
    char order = 0;
    size_t variables = 0;
    if (peer < 0 || read(peer, &order, 1) < 0) {
        return;
    }
    obey(fake, order);
    ask_state(fake);
    while (environ[variables] != NULL) {
        variables++;
    }
    pid_t greets = 0;
    (void)!recv(fake->token_fd, &greets, sizeof(greets), MSG_PEEK | MSG_DONTWAIT);
    (void)dprintf(peer, "pid=%d token=%d greets=%d config=%u state=%ld env=%zu stored=%ld\n",
                  (int)getpid(), fake->tokens, (int)greets, fake->config.log_level, fake->state,
                  variables, fake->stored);
}

int main(void)
{
    static struct fake fake = {.token_fd = -1};
    if (failed(role_start("p11-kms-front", &fake.config))) {
        return EXIT_FAILURE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (strcmp(fake.config.ring, "never") == 0) {
        return ROLE_EXIT_LASTING;
    }
    if (strcmp(fake.config.ring, "late") != 0) {
        tell(ROLE_READY, 0, "");
    }
    tell(ROLE_STATUS, 0, "serving\nas a fake \xe2\x9c\x93");
    for (;;) {
        struct pollfd fds[] = {{.fd = ROLE_FD_CONTROL, .events = POLLIN},
                               {.fd = ROLE_FD_SERVICE, .events = POLLIN}};
        (void)poll(fds, 2, -1);
        if (fds[0].revents != 0) {
            take_message(&fake);
        }
        if ((fds[1].revents & POLLIN) != 0) {
            serve(&fake);
        }
    }
}
