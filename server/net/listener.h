/* listener: accepts peers on a listening socket, and says who they are. */
#ifndef SERVER_NET_LISTENER_H
#define SERVER_NET_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/own.h"
#include "server/net/loop.h"

struct listener_peer {
    uid_t uid;
    pid_t pid;
};

struct listener_events {
    void *ctx;
    /* False: whoever comes must wait. */
    bool (*has_room)(void *ctx);
    /* One waits for whom there is no room. */
    void (*on_full)(void *ctx);
    /* fd is the callee's. */
    void (*on_peer)(void *ctx, int fd, const struct listener_peer *peer);
};

struct listener;

/* Takes a descriptor of its own for the socket; it is not yet awaited. */
MUST_USE err_t listener_new(struct loop *loop, int listen_fd, const struct listener_events *events,
                            struct listener **ret_listener);
void listener_free(struct listener *listener);
DEFINE_CLEANUP(struct listener *, listener_free)
/* Those that wait now, as far as there is room. True: all of them. */
bool listener_accept_all(struct listener *listener);
/* Peers that come while it is paused wait in the socket's queue. */
void listener_want(struct listener *listener, bool wanted);

#endif
