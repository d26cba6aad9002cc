/*
 * p11-kms-token: the process that loads the vendor's module. Everything that can hang, crash or
 * leak is in here and is cured by ending it. The main thread only moves frames and never enters the
 * module, so pings are answered whatever the module does.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/role.h"
#include "base/secret.h"
#include "base/version.h"
#include "token/ipc.h"
#include "pkcs11/lost.h"
#include "pkcs11/peer.h"
#include "pkcs11/pool.h"
#include "pkcs11/serve.h"
#include "pkcs11/start.h"
#include "pkcs11/status.h"
#include "pkcs11/watchdog.h"

#define FRAME_MAX  SECRET_2KIB_BYTES /* no request is longer */
#define DRAIN_MS   2000
#define PROGRAM    "p11-kms-token"

/* What the main thread knows of its clients, by their numbers; 0: none. */
struct talk {
    unsigned greeted_by;
    unsigned gone;
};

static _Noreturn void die(const char *why, err_t err, int status)
{
    log_event(EVENT_TOKEN_ENDS, LOG_TEXT("why", why), LOG_ERR(err));
    _exit(status);
}

/*
 * Waits for a client that has much to read: it pings no more until it is answered, then has us
 * killed.
 */
static void answer_ping(unsigned peer, uint64_t call)
{
    struct ipc_status status;
    struct ipc_header reply = {.verb = IPC_PROBE, .flags = IPC_REPLY, .call = call};
    status_get(&status);
    serve_send(peer, &reply, span_of(&status, sizeof(status)));
}

/* Takes the frame when it keeps it for a worker. */
static void take_request(unsigned peer, const struct ipc_header *header, struct secret **frame)
{
    struct request request;
    if (header->flags != 0 || !serve_decode(header, secret_view(*frame), &request)) {
        die("a frame of the client is broken", FAIL(E_PROTOCOL, "payload"), TOKEN_EXIT_PROTOCOL);
    }
    if (header->verb == IPC_PROBE) {
        answer_ping(peer, header->call);
    } else if (status_phase() != IPC_PHASE_READY) {
        serve_refuse(peer, header, IPC_UNAVAILABLE);
    } else if (pool_submit(peer, &request, *frame)) {
        *frame = NULL;
    } else {
        serve_refuse(peer, header, IPC_BUSY);
    }
}

static void take_hello(struct talk *talk, unsigned peer, const struct ipc_header *header,
                       struct span payload)
{
    if (talk->greeted_by == peer || header->flags != 0 ||
        !span_equal(payload, span_of_text(P11KMS_BUILD_ID))) {
        die("the client is of another build", FAIL(E_PROTOCOL, "hello"), TOKEN_EXIT_PROTOCOL);
    }
    talk->greeted_by = peer;
}

/* One frame. E_UNAVAILABLE: none waits; E_NOT_FOUND: the client is gone. */
static err_t take_frame(struct talk *talk, unsigned peer)
{
    CLEANUP(secret_free_p) struct secret *payload = NULL;
    struct ipc_header header;
    struct span bytes;
    TRY(secret_new(SECRET_2KIB, FRAME_MAX, &payload));
    TRY(peer_receive(peer, &header, secret_room(payload), &bytes));
    secret_set_len(payload, bytes.len);
    if (header.verb == IPC_HELLO) {
        take_hello(talk, peer, &header, secret_view(payload));
        return OK;
    }
    if (talk->greeted_by != peer) {
        return FAIL(E_PROTOCOL, "no hello");
    }
    take_request(peer, &header, &payload);
    return OK;
}

static void take_frames(struct talk *talk)
{
    for (;;) {
        unsigned peer = peer_now();
        err_t err = take_frame(talk, peer);
        if (err.code == E_UNAVAILABLE || err.code == E_LIMIT) {
            return;
        }
        if (err.code == E_PROTOCOL) {
            die("a frame of the client is broken", err, TOKEN_EXIT_PROTOCOL);
        }
        if (failed(err)) {
            talk->gone = peer;
            return;
        }
    }
}

/* Until the keeper is gone, or SIGTERM. A client may go: the keeper sends another, or ends us. */
static void loop(int signal_fd, int news_fd)
{
    struct talk talk = {0};
    eventfd_t news;
    struct pollfd fds[] = {{.fd = ROLE_FD_SERVICE, .events = POLLIN},
                           {.fd = ROLE_FD_CONTROL}, /* only its end; control.c reads it */
                           {.fd = signal_fd, .events = POLLIN},
                           {.fd = news_fd, .events = POLLIN}};
    for (;;) {
        fds[0].fd = talk.gone == peer_now() ? -1 : ROLE_FD_SERVICE;
        if (poll(fds, 4, -1) < 0 && errno != EINTR) {
            die("poll", FAIL_ERRNO("poll"), 1);
        }
        if (fds[1].revents != 0 || fds[2].revents != 0) {
            return;
        }
        if (fds[3].revents != 0) {
            (void)eventfd_read(news_fd, &news);
        }
        if (fds[0].revents != 0) {
            take_frames(&talk);
        }
    }
}

/*
 * SIGTERM comes by descriptor; every other thread inherits the mask. A line for a log reader that
 * died, or a module's word to a server that hung up, is an error and no reason to die.
 */
static err_t open_signals(int *ret_fd)
{
    sigset_t set;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) {
        return FAIL(E_SYSTEM, "pthread_sigmask");
    }
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return FAIL_ERRNO("signalfd");
    }
    *ret_fd = fd;
    return OK;
}

/* What this system must grant: where it does not, it will not in a second either. */
static err_t prepare(struct config *config)
{
    TRY(role_start(PROGRAM, config));
    log_init(PROGRAM, config->log_format, config->log_level);
    TRY(secret_init(&secret_budget_token));
    return secret_serve_crypto(true);
}

static err_t run(const struct config *config)
{
    int signal_fd = -1;
    int news_fd = -1;
    TRY(open_signals(&signal_fd));
    TRY(peer_open(&news_fd));
    status_announce();
    TRY(watch_start());
    TRY(start_run(config));
    loop(signal_fd, news_fd);
    return OK;
}

int main(int argc, char **argv)
{
    static struct config config;
    if (role_told_version(argc, argv, PROGRAM)) {
        return EXIT_SUCCESS;
    }
    log_init(PROGRAM, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    err_t err = prepare(&config);
    if (failed(err)) {
        die("cannot start", err, role_may_pass(err) ? 1 : ROLE_EXIT_LASTING);
    }
    err = run(&config);
    if (failed(err)) {
        die("cannot start", err, 1);
    }
    start_end_logins();
    if (pool_stop(DRAIN_MS)) {
        start_undo();
    }
    /* Not exit(): the module's destructors must not run under threads that may be inside it. */
    _exit(0);
}
