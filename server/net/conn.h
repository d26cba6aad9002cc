/*
 * conn: one peer: its socket, its session, and what could not be written yet. Reads once a wake-up,
 * writes in conn_flush, which the owner calls for every conn that said it has something to say.
 *
 * Plain text lies only in env->receive, env->send and a blocked conn's own block, all SECRET_NET.
 */
#ifndef SERVER_NET_CONN_H
#define SERVER_NET_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "server/http2/session.h"
#include "server/net/loop.h"

#define CONN_LEAVE_MS 2000 /* beside a call that the service has */

struct conn;

/* What all conns share; the owner's. */
struct conn_env {
    struct loop *loop;
    struct h2_shared *shared;
    struct secret *receive;
    struct secret *send; /* a conn whose socket is full keeps it and puts a new one here */
    /* conn_flush is wanted; never called from conn_flush */
    void (*on_change)(void *ctx, struct conn *conn);
    void *ctx;
};

/* Takes fd, also when it fails. The peer is told our SETTINGS by the first conn_flush. */
MUST_USE err_t conn_open(struct conn_env *env, int fd, enum h2_policy policy, struct ticket ticket,
                         struct conn **ret_conn);
/* Cancels its calls. NULL is fine. */
void conn_close(struct conn *conn);
DEFINE_CLEANUP(struct conn *, conn_close)

struct ticket conn_ticket(const struct conn *conn);
/* Says what there is to say. False: the peer is done or lost, close it. */
bool conn_flush(struct conn *conn, int64_t now_ms);
/* Deadlines. Flush afterwards. */
int64_t conn_next_ms(const struct conn *conn);
void conn_tick(struct conn *conn, int64_t now_ms);
void conn_reply(struct conn *conn, int32_t stream, struct service_reply *reply, int64_t now_ms);
/* Says goodbye and goes on until the peer has gone. */
void conn_drain(struct conn *conn, int64_t now_ms);
/* The same, to make room: a peer that takes its time is closed after CONN_LEAVE_MS. */
void conn_leave(struct conn *conn, int64_t now_ms);
/* The peer may not be served any more: nothing new is taken, what the service has is answered. */
void conn_deny(struct conn *conn, int64_t now_ms);
/* As h2_session_idle_since_ms. */
int64_t conn_idle_since_ms(const struct conn *conn);
/* Before conn_close at the end of the program: answers what is open, if the socket takes it. */
void conn_abandon(struct conn *conn, int64_t now_ms);

#endif
