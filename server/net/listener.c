#define _GNU_SOURCE
#include "server/net/listener.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

#define ACCEPTS_MAX 16   /* a wake-up, so that a rush of peers does not hold up those who are in */
#define RETRY_MS    1000 /* after an error such as EMFILE, which would come again at once */

struct listener {
    int fd;
    struct listener_events events;
    struct loop_poll *poll;
    struct loop_timer *retry;
    bool wanted;
    bool failing; /* said once per incident */
};

/* EAGAIN: none is waiting. The others: this peer has gone meanwhile, or try again. */
static bool is_passing(int code)
{
    return code == EAGAIN || code == ECONNABORTED || code == EINTR;
}

static void rest_a_while(struct listener *listener)
{
    err_t err = FAIL_ERRNO("cannot accept a connection");
    if (!listener->failing) {
        log_event(EVENT_ACCEPT_FAILED, LOG_ERR(err));
    }
    listener->failing = true;
    loop_poll_want(listener->poll, 0);
    loop_timer_at(listener->retry, clock_mono_ms() + RETRY_MS);
}

/* False: stop accepting for this wake-up. */
static bool accept_one(struct listener *listener)
{
    OWN_FD fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (!is_passing(errno)) {
            rest_a_while(listener);
        }
        return false;
    }
    listener->failing = false;
    struct ucred creds = {0};
    socklen_t len = sizeof(creds);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &len) != 0) {
        return true; /* a peer that cannot be told is none */
    }
    struct listener_peer peer = {.uid = creds.uid, .pid = creds.pid};
    listener->events.on_peer(listener->events.ctx, own_fd_take(&fd), &peer);
    return true;
}

static void accept_some(struct listener *listener, int max)
{
    const struct listener_events *events = &listener->events;
    for (int i = 0; i < max && listener->wanted; i++) {
        if (!events->has_room(events->ctx) || !accept_one(listener)) {
            return;
        }
    }
}

static void on_ready(void *ctx, int events)
{
    (void)events;
    struct listener *listener = ctx;
    if (listener->wanted && !listener->events.has_room(listener->events.ctx)) {
        listener->events.on_full(listener->events.ctx);
    } else {
        accept_some(listener, ACCEPTS_MAX);
    }
}

bool listener_accept_all(struct listener *listener)
{
    struct pollfd waiting = {.fd = listener->fd, .events = POLLIN};
    accept_some(listener, INT_MAX);
    return poll(&waiting, 1, 0) == 0;
}

static void on_retry(void *ctx)
{
    struct listener *listener = ctx;
    listener_want(listener, listener->wanted);
}

err_t listener_new(struct loop *loop, int listen_fd, const struct listener_events *events,
                   struct listener **ret_listener)
{
    CLEANUP(listener_free_p) struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return FAIL_ERRNO("cannot allocate the listener");
    }
    listener->events = *events;
    listener->fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
    if (listener->fd < 0) {
        return FAIL_ERRNO("cannot duplicate the listening socket");
    }
    TRY(loop_poll_new(loop, listener->fd, on_ready, listener, &listener->poll));
    TRY(loop_timer_new(loop, on_retry, listener, &listener->retry));
    *ret_listener = TAKE(listener);
    return OK;
}

void listener_free(struct listener *listener)
{
    if (listener != NULL) {
        loop_poll_free(listener->poll);
        loop_timer_free(listener->retry);
        own_fd_close_p(&listener->fd);
        free(listener);
    }
}

void listener_want(struct listener *listener, bool wanted)
{
    listener->wanted = wanted;
    loop_poll_want(listener->poll, wanted ? LOOP_READABLE : 0);
}
