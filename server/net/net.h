/*
 * net: the clients of the front. Accepts on the listening socket that it is given, checks who a
 * peer is, and moves bytes between sockets and sessions. The door of this room for front/main.
 *
 *   128 connections; when one more peer comes, those go that were idle the longest (GOAWAY, and
 *   closed 2 s later), and while all are busy accepting pauses
 *   a refused peer gets PERMISSION_DENIED to its first call, at most 4 such at a time
 *   a peer that reads nothing for 10 s is closed
 *
 * What a peer sends and what it gets pass through SECRET_NET blocks only: one to receive, one to
 * send, and one more for each peer whose socket is full.
 */
#ifndef SERVER_NET_NET_H
#define SERVER_NET_NET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/ticket.h"
#include "server/net/loop.h"

#define NET_CONNS_MAX  128u
#define NET_DENIED_MAX 4u
#define NET_UIDS_MAX   32u
#define NET_BLOCKED_MS 10000
#define NET_ROOM_MS    200  /* in this pace it is looked for more who may go */
#define NET_LEAVE_MAX  8u   /* so many are on their way out at a time, once one takes its time */

struct net;
struct service;
struct service_reply;

struct net_events {
    void *ctx;
    /* A peer waits, and all connections are taken. */
    void (*on_full)(void *ctx);
};

/*
 * listen_fd: listening, non-blocking; stays the caller's. Nobody is allowed until
 * net_set_allowed_uids.
 */
MUST_USE err_t net_new(struct loop *loop, int listen_fd, struct service *service,
                       const struct net_events *events, struct net **ret_net);
/* Closes every connection; calls that wait are answered UNAVAILABLE and cancelled. NULL is fine. */
void net_free(struct net *net);
DEFINE_CLEANUP(struct net *, net_free)

/*
 * Peers come in here from now on, as with net_new. Those that wait in the old one's queue come
 * first; while there is no room for them they go on waiting, until this is called once more.
 */
MUST_USE err_t net_listen(struct net *net, int listen_fd);

/*
 * Whom to serve from now on, at most NET_UIDS_MAX. Connections of others end now: what the service
 * has of them is answered, what comes after is not taken.
 */
void net_set_allowed_uids(struct net *net, const uint32_t *uids, size_t n);

/*
 * service_events.on_reply: the answer to a call that waited. Takes reply->body; a stale ticket is
 * fine.
 */
void net_reply(struct net *net, struct ticket ticket, struct service_reply *reply);

/* Stops accepting and says goodbye to each peer; on_done once the last is gone (maybe at once). */
void net_drain(struct net *net, void (*on_done)(void *ctx), void *ctx);

size_t net_connections(const struct net *net);

#endif
