#include "server/net/net.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "server/net/conn.h"
#include "server/net/listener.h"

#define SLOTS                                                                                      \
    (NET_CONNS_MAX + NET_DENIED_MAX) /* the refused have slots of their own, behind the others */

struct slot {
    struct conn *conn;
    uid_t uid;
    uint32_t generation;
    bool changed; /* to be flushed at the end of this wake-up */
    bool leaves;  /* was asked to go, so that another may come */
};

struct net {
    struct net_events events;
    struct conn_env env;
    struct listener *listener;
    struct listener *before; /* of the socket before, where some still wait; NULL: none */
    struct loop_timer *timer;
    struct loop_turn *turn;
    int64_t timer_ms; /* what it is set to */
    struct slot slots[SLOTS];
    size_t served; /* conns in the first NET_CONNS_MAX slots */
    size_t denied; /* in the others */
    size_t leaving;
    /* CLOCK_MONOTONIC: when to see again who may go; INT64_MAX: accepting goes on */
    int64_t room_ms;
    bool any_changed;
    bool draining;
    void (*on_done)(void *ctx);
    void *done_ctx;
    uint32_t uids[NET_UIDS_MAX];
    size_t uids_n;
    struct log_limit refused; /* lines about peers that are not allowed */
    struct log_limit failed;  /* about connections that could not be made */
};

static void on_change(void *ctx, struct conn *conn)
{
    struct net *net = ctx;
    net->slots[conn_ticket(conn).conn].changed = true;
    net->any_changed = true;
}

static void note_due(struct net *net, int64_t due_ms)
{
    if (due_ms < net->timer_ms) {
        net->timer_ms = due_ms;
        loop_timer_at(net->timer, due_ms);
    }
}

static bool is_allowed(const struct net *net, uid_t uid)
{
    for (size_t i = 0; i < net->uids_n; i++) {
        if (net->uids[i] == uid) {
            return true;
        }
    }
    return false;
}

/* Of the part for those who are served, or for those who are refused; NULL: it is full. */
static struct slot *free_slot(struct net *net, bool allowed)
{
    size_t from = allowed ? 0 : NET_CONNS_MAX;
    size_t to = allowed ? NET_CONNS_MAX : SLOTS;
    for (size_t i = from; i < to; i++) {
        if (net->slots[i].conn == NULL) {
            return &net->slots[i];
        }
    }
    return NULL;
}

static void want_peers(struct net *net, bool wanted)
{
    if (net->before != NULL) {
        listener_want(net->before, wanted);
    }
    listener_want(net->listener, wanted);
}

static void accept_again(struct net *net)
{
    net->room_ms = INT64_MAX;
    want_peers(net, !net->draining);
}

static void count(struct net *net, const struct slot *slot, int by)
{
    size_t *counter = slot < &net->slots[NET_CONNS_MAX] ? &net->served : &net->denied;
    *counter = by > 0 ? *counter + 1 : *counter - 1;
    accept_again(net);
}

static void log_refused(struct net *net, const struct listener_peer *peer)
{
    if (log_limit_passes(&net->refused, clock_mono_ms())) {
        log_event(EVENT_PEER_REFUSED, LOG_NUM("uid", peer->uid), LOG_NUM("pid", peer->pid));
    }
    note_due(net, log_limit_next_ms(&net->refused));
}

static void log_failed(struct net *net, err_t err)
{
    if (log_limit_passes(&net->failed, clock_mono_ms())) {
        log_event(EVENT_CONNECTION_FAILED, LOG_ERR(err));
    }
    note_due(net, log_limit_next_ms(&net->failed));
}

/*
 * The one that nobody has used for the longest, however short; NULL: all are busy, new or on their
 * way out.
 */
static struct slot *longest_idle(struct net *net, int64_t now_ms)
{
    int64_t since_ms = now_ms + 1;
    struct slot *found = NULL;
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        struct slot *slot = &net->slots[i];
        if (slot->conn != NULL && conn_idle_since_ms(slot->conn) < since_ms) {
            since_ms = conn_idle_since_ms(slot->conn);
            found = slot;
        }
    }
    return found;
}

static void make_room(struct net *net, int64_t now_ms)
{
    size_t at_once = net->leaving == 0 ? 1 : NET_LEAVE_MAX;
    struct slot *slot;
    while (net->leaving < at_once && (slot = longest_idle(net, now_ms)) != NULL) {
        log_event(EVENT_PEER_LEAVES, LOG_NUM("slot", slot - net->slots));
        slot->leaves = true;
        net->leaving++;
        conn_leave(slot->conn, now_ms);
        on_change(net, slot->conn);
    }
}

static bool has_room(void *ctx)
{
    const struct net *net = ctx;
    return net->served < NET_CONNS_MAX;
}

/* Who waits does so in the socket's queue, until a connection has gone or another may be asked. */
static void on_full(void *ctx)
{
    struct net *net = ctx;
    int64_t now_ms = clock_mono_ms();
    make_room(net, now_ms);
    net->events.on_full(net->events.ctx);
    net->room_ms = now_ms + NET_ROOM_MS;
    note_due(net, net->room_ms);
    want_peers(net, false);
}

static void on_peer(void *ctx, int fd, const struct listener_peer *peer)
{
    struct net *net = ctx;
    OWN_FD owned = fd;
    bool allowed = is_allowed(net, peer->uid);
    if (!allowed) {
        log_refused(net, peer);
    }
    struct slot *slot = free_slot(net, allowed);
    if (slot == NULL) {
        return;
    }
    slot->uid = peer->uid;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    struct ticket ticket = {.conn = (uint32_t)(slot - net->slots), .generation = slot->generation};
    err_t err = conn_open(&net->env, own_fd_take(&owned), allowed ? H2_SERVE : H2_DENY, ticket,
                          &slot->conn);
    if (failed(err)) {
        log_failed(net, err);
        return;
    }
    log_event(EVENT_PEER_ACCEPTED, LOG_NUM("uid", peer->uid), LOG_NUM("pid", peer->pid),
              LOG_NUM("slot", ticket.conn));
    count(net, slot, 1);
    on_change(net, slot->conn);
}

static void close_slot(struct net *net, struct slot *slot)
{
    log_event(EVENT_PEER_CLOSED, LOG_NUM("slot", slot - net->slots));
    conn_close(TAKE(slot->conn));
    slot->changed = false;
    net->leaving -= slot->leaves ? 1 : 0;
    slot->leaves = false;
    count(net, slot, -1);
}

static void flush_slot(struct net *net, struct slot *slot, int64_t now_ms)
{
    slot->changed = false;
    if (conn_flush(slot->conn, now_ms)) {
        note_due(net, conn_next_ms(slot->conn));
    } else {
        close_slot(net, slot);
    }
}

static void tell_when_drained(struct net *net)
{
    if (net->draining && net->on_done != NULL && net_connections(net) == 0) {
        void (*on_done)(void *ctx) = TAKE(net->on_done);
        on_done(net->done_ctx);
    }
}

/* One write for each peer a wake-up, however many of its calls were answered in it. */
static void on_turn(void *ctx)
{
    struct net *net = ctx;
    if (!net->any_changed) {
        return;
    }
    net->any_changed = false;
    int64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < SLOTS; i++) {
        if (net->slots[i].changed) {
            flush_slot(net, &net->slots[i], now_ms);
        }
    }
    tell_when_drained(net);
}

static void tick_logs(struct net *net, int64_t now_ms)
{
    log_limit_tick(&net->refused, now_ms);
    log_limit_tick(&net->failed, now_ms);
    note_due(net, log_limit_next_ms(&net->refused));
    note_due(net, log_limit_next_ms(&net->failed));
}

static void on_time(void *ctx)
{
    struct net *net = ctx;
    int64_t now_ms = clock_mono_ms();
    net->timer_ms = INT64_MAX;
    tick_logs(net, now_ms);
    if (net->room_ms <= now_ms) {
        accept_again(net);
    } else {
        note_due(net, net->room_ms);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        struct conn *conn = net->slots[i].conn;
        if (conn != NULL && conn_next_ms(conn) <= now_ms) {
            conn_tick(conn, now_ms);
            on_change(net, conn);
        } else if (conn != NULL) {
            note_due(net, conn_next_ms(conn));
        }
    }
}

err_t net_new(struct loop *loop, int listen_fd, struct service *service,
              const struct net_events *events, struct net **ret_net)
{
    CLEANUP(net_free_p) struct net *net = calloc(1, sizeof(*net));
    if (net == NULL) {
        return FAIL_ERRNO("cannot allocate the network room");
    }
    net->events = *events;
    net->room_ms = INT64_MAX;
    net->env.loop = loop;
    net->env.on_change = on_change;
    net->env.ctx = net;
    net->timer_ms = INT64_MAX;
    net->refused.event = EVENT_PEER_REFUSED;
    net->failed.event = EVENT_CONNECTION_FAILED;
    TRY(h2_shared_new(service, &net->env.shared));
    TRY(secret_new(SECRET_NET, SECRET_NET_BYTES, &net->env.receive));
    TRY(secret_new(SECRET_NET, SECRET_NET_BYTES, &net->env.send));
    TRY(loop_timer_new(loop, on_time, net, &net->timer));
    TRY(loop_turn_new(loop, on_turn, net, &net->turn));
    TRY(net_listen(net, listen_fd));
    *ret_net = TAKE(net);
    return OK;
}

err_t net_listen(struct net *net, int listen_fd)
{
    const struct listener_events events = {net, has_room, on_full, on_peer};
    struct listener *fresh = NULL;
    TRY(listener_new(net->env.loop, listen_fd, &events, &fresh));
    listener_free(TAKE(net->before));
    if (net->listener != NULL && !listener_accept_all(net->listener)) {
        net->before = TAKE(net->listener); /* there is no room for them yet */
    }
    listener_free(net->listener);
    net->listener = fresh;
    accept_again(net);
    return OK;
}

void net_free(struct net *net)
{
    if (net == NULL) {
        return;
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (net->slots[i].conn != NULL) {
            conn_abandon(net->slots[i].conn, clock_mono_ms());
            conn_close(net->slots[i].conn);
        }
    }
    listener_free(net->before);
    listener_free(net->listener);
    loop_turn_free(net->turn);
    loop_timer_free(net->timer);
    secret_free(net->env.receive);
    secret_free(net->env.send);
    h2_shared_free(net->env.shared);
    free(net);
}

void net_set_allowed_uids(struct net *net, const uint32_t *uids, size_t n)
{
    net->uids_n = n < NET_UIDS_MAX ? n : NET_UIDS_MAX;
    span_move(net->uids, uids, net->uids_n * sizeof(uids[0]));
    size_t ended = 0;
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        struct slot *slot = &net->slots[i];
        if (slot->conn != NULL && !is_allowed(net, slot->uid)) {
            conn_deny(slot->conn, clock_mono_ms());
            on_change(net, slot->conn);
            ended++;
        }
    }
    if (ended > 0) {
        log_event(EVENT_CONNECTIONS_ENDED, LOG_NUM("n", ended),
                  LOG_TEXT("why", "their users are not in allowed_uids any more"));
    }
}

void net_reply(struct net *net, struct ticket ticket, struct service_reply *reply)
{
    struct slot *slot = ticket.conn < SLOTS ? &net->slots[ticket.conn] : NULL;
    if (slot == NULL || slot->conn == NULL || slot->generation != ticket.generation) {
        secret_free(TAKE(reply->body));
        return;
    }
    conn_reply(slot->conn, ticket.stream, reply, clock_mono_ms());
    on_change(net, slot->conn);
}

void net_drain(struct net *net, void (*on_done)(void *ctx), void *ctx)
{
    net->draining = true;
    net->on_done = on_done;
    net->done_ctx = ctx;
    want_peers(net, false);
    for (size_t i = 0; i < SLOTS; i++) {
        if (net->slots[i].conn != NULL) {
            conn_drain(net->slots[i].conn, clock_mono_ms());
            on_change(net, net->slots[i].conn);
        }
    }
    tell_when_drained(net);
}

size_t net_connections(const struct net *net)
{
    return net->served + net->denied;
}
