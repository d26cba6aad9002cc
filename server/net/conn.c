#include "server/net/conn.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "server/net/net.h"

struct conn {
    struct conn_env *env;
    int fd;
    struct loop_poll *poll;
    struct h2_session *session;
    struct ticket ticket;
    struct secret *blocked; /* bytes that the socket did not take; NULL: none */
    size_t blocked_sent;    /* of them, taken since */
    int64_t blocked_by_ms;
    int64_t leave_by_ms;    /* INT64_MAX: it may stay */
    bool lost; /* nothing more will be read */
};

static void read_once(struct conn *conn)
{
    struct secret *receive = conn->env->receive;
    struct span_mut room = secret_room(receive);
    ssize_t n = recv(conn->fd, room.ptr, room.len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        conn->lost = true;
        return;
    }
    secret_set_len(receive, (size_t)n);
    err_t err = h2_session_feed(conn->session, secret_view(receive), clock_mono_ms());
    conn->lost = conn->lost || failed(err);
    secret_set_len(receive, 0); /* wipes what was read */
}

static void on_ready(void *ctx, int events)
{
    struct conn *conn = ctx;
    if ((events & LOOP_BROKEN) != 0) {
        conn->lost = true;
    }
    if ((events & LOOP_READABLE) != 0) {
        read_once(conn);
    }
    conn->env->on_change(conn->env->ctx, conn);
}

err_t conn_open(struct conn_env *env, int fd, enum h2_policy policy, struct ticket ticket,
                struct conn **ret_conn)
{
    OWN_FD owned = fd;
    CLEANUP(conn_close_p) struct conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        return FAIL_ERRNO("cannot allocate a connection");
    }
    conn->env = env;
    conn->fd = own_fd_take(&owned);
    conn->ticket = ticket;
    conn->leave_by_ms = INT64_MAX;
    TRY(h2_session_new(env->shared, policy, ticket, clock_mono_ms(), &conn->session));
    TRY(loop_poll_new(env->loop, conn->fd, on_ready, conn, &conn->poll));
    loop_poll_want(conn->poll, LOOP_READABLE);
    *ret_conn = TAKE(conn);
    return OK;
}

void conn_close(struct conn *conn)
{
    if (conn == NULL) {
        return;
    }
    h2_session_free(conn->session);
    secret_free(conn->blocked);
    loop_poll_free(conn->poll);
    own_fd_close_p(&conn->fd);
    free(conn);
}

struct ticket conn_ticket(const struct conn *conn)
{
    return conn->ticket;
}

/* *ret_sent: how many bytes the socket took, 0 when it is full. False: the peer is gone. */
static bool send_some(struct conn *conn, struct span bytes, size_t *ret_sent)
{
    ssize_t n = send(conn->fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return false;
    }
    *ret_sent = n < 0 ? 0 : (size_t)n;
    return true;
}

/* The peer reads slower than it asks: it keeps its block, and is not read until that is written. */
static bool block(struct conn *conn, size_t sent, int64_t now_ms)
{
    struct secret *fresh = NULL;
    if (failed(secret_new(SECRET_NET, SECRET_NET_BYTES, &fresh))) {
        return false; /* more blocked peers than blocks: this one is let go */
    }
    conn->blocked = conn->env->send;
    conn->env->send = fresh;
    conn->blocked_sent = sent;
    conn->blocked_by_ms = now_ms + NET_BLOCKED_MS;
    loop_poll_want(conn->poll, LOOP_WRITABLE);
    return true;
}

/* False: the peer is gone. conn->blocked is NULL afterwards when all was written. */
static bool write_blocked(struct conn *conn)
{
    struct span all = secret_view(conn->blocked);
    struct span rest = span_part(all, conn->blocked_sent, all.len - conn->blocked_sent);
    size_t sent = 0;
    if (!send_some(conn, rest, &sent)) {
        return false;
    }
    conn->blocked_sent += sent;
    if (sent == rest.len) {
        secret_free(TAKE(conn->blocked));
        loop_poll_want(conn->poll, LOOP_READABLE);
    }
    return true;
}

/* Pulls one buffer and writes it. False: the peer is gone. */
static bool write_next(struct conn *conn, int64_t now_ms, bool *ret_more)
{
    struct secret *out = conn->env->send;
    size_t len = h2_session_pull(conn->session, secret_room(out));
    if (len == 0) {
        *ret_more = false;
        return true;
    }
    secret_set_len(out, len);
    size_t sent = 0;
    bool alive = send_some(conn, secret_view(out), &sent);
    if (alive && sent < len) {
        alive = block(conn, sent, now_ms);
        *ret_more = false;
    }
    if (conn->env->send == out) {
        secret_set_len(out, 0); /* wipes what was written */
    }
    return alive;
}

bool conn_flush(struct conn *conn, int64_t now_ms)
{
    if (conn->blocked != NULL) {
        if (now_ms >= conn->blocked_by_ms || !write_blocked(conn)) {
            return false;
        }
    }
    bool more = conn->blocked == NULL;
    while (more) {
        if (!write_next(conn, now_ms, &more)) {
            return false;
        }
    }
    if (now_ms >= conn->leave_by_ms && !h2_session_is_busy(conn->session)) {
        return false;
    }
    return !conn->lost && (conn->blocked != NULL || !h2_session_done(conn->session));
}

int64_t conn_next_ms(const struct conn *conn)
{
    int64_t next_ms = h2_session_next_ms(conn->session);
    if (conn->blocked != NULL && conn->blocked_by_ms < next_ms) {
        next_ms = conn->blocked_by_ms;
    }
    bool leaves = conn->leave_by_ms < next_ms && !h2_session_is_busy(conn->session);
    return leaves ? conn->leave_by_ms : next_ms; /* the last answer flushes it anyway */
}

void conn_tick(struct conn *conn, int64_t now_ms)
{
    h2_session_tick(conn->session, now_ms);
}

void conn_reply(struct conn *conn, int32_t stream, struct service_reply *reply, int64_t now_ms)
{
    h2_session_reply(conn->session, stream, reply, now_ms);
}

void conn_drain(struct conn *conn, int64_t now_ms)
{
    h2_session_drain(conn->session, now_ms);
}

void conn_leave(struct conn *conn, int64_t now_ms)
{
    conn->leave_by_ms = now_ms + CONN_LEAVE_MS;
    h2_session_drain(conn->session, now_ms);
}

void conn_deny(struct conn *conn, int64_t now_ms)
{
    conn->leave_by_ms = now_ms + CONN_LEAVE_MS;
    h2_session_deny(conn->session, now_ms);
}

int64_t conn_idle_since_ms(const struct conn *conn)
{
    return h2_session_idle_since_ms(conn->session);
}

void conn_abandon(struct conn *conn, int64_t now_ms)
{
    h2_session_abandon(conn->session, now_ms);
    (void)conn_flush(conn, now_ms);
}
