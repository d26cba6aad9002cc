/*
 * The front: the process that Kubernetes speaks to. One thread, one loop; it holds the seeds, never
 * calls PKCS#11 and touches no disk. This file knows every room and only wires them:
 *
 *   control socket ──► on_control      what the keeper says: token sockets, reload, drain
 *   token socket ────► on_token        replies of the token process
 *   listening socket ► net             peers, which ask the service
 *   timer ───────────► on_time         what the service has to do by itself
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/own.h"
#include "base/role.h"
#include "base/secret.h"
#include "server/front/keeper.h"
#include "server/kms/kms.h"
#include "server/kms/service.h"
#include "server/net/loop.h"
#include "server/net/net.h"

#define PROGRAM "p11-kms-front"

struct front {
    struct config config;
    struct loop *loop;
    struct loop_poll *control_poll;
    struct loop_poll *token_poll;
    int64_t token; /* the keeper's name for the token process */
    int token_fd; /* our own descriptor of the token socket: the client may close its any time */
    struct loop_timer *timer;
    struct loop_turn *turn;
    struct service *service;
    int service_fd; /* where clients come in */
    struct net *net;
    bool prepared;        /* what this system must grant, it has granted */
    unsigned states_left; /* state files that the keeper has not yet answered */
    bool ends;            /* the keeper is gone, or all is drained */
};

static void front_done(struct front *front)
{
    net_free(front->net);
    loop_turn_free(front->turn);
    loop_timer_free(front->timer);
    loop_poll_free(front->token_poll);
    loop_poll_free(front->control_poll);
    own_fd_close_p(&front->token_fd);
    own_fd_close_p(&front->service_fd);
    service_free(front->service);
    loop_free(front->loop);
}

static void end(struct front *front)
{
    front->ends = true;
    loop_stop(front->loop);
}

/* ---- what the rooms say ---- */

static void on_reply(void *ctx, struct ticket ticket, struct service_reply *reply)
{
    struct front *front = ctx;
    net_reply(front->net, ticket, reply);
}

static void on_full(void *ctx)
{
    const struct front *front = ctx;
    service_limit_bites(front->service, LIMIT_CONNECTIONS);
}

static bool on_put_state(void *ctx, enum state_file file, struct span bytes)
{
    struct front *front = ctx;
    err_t err = role_put_state(ROLE_FD_CONTROL, file, bytes, role_sequence());
    if (failed(err)) { /* otherwise the keeper says what became of it */
        service_stored(front->service, file, err);
    }
    return !failed(err);
}

static void on_line(void *ctx, const char *line)
{
    (void)ctx;
    keeper_tell(ROLE_STATUS, 0, line);
}

static void on_hung(void *ctx)
{
    const struct front *front = ctx;
    keeper_tell(ROLE_KILL_TOKEN, front->token, "no answer for 10 s");
}

/* ---- the token process ---- */

static void unwatch_token(struct front *front)
{
    loop_poll_free(TAKE(front->token_poll));
    own_fd_close_p(&front->token_fd);
    front->token_fd = -1;
}

static void on_token(void *ctx, int events)
{
    struct front *front = ctx;
    (void)events;
    service_token_readable(front->service);
    if (service_token_fd(front->service) < 0) {
        unwatch_token(front);
    }
}

static void attach_token(struct front *front, int fd)
{
    unwatch_token(front);
    front->token_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    service_token_attach(front->service, fd);
    if (front->token_fd < 0) {
        log_event(EVENT_TOKEN_NOT_WATCHED, LOG_ERR(FAIL_ERRNO("cannot copy a descriptor")));
        return;
    }
    err_t err = loop_poll_new(front->loop, front->token_fd, on_token, front, &front->token_poll);
    if (failed(err)) {
        log_event(EVENT_TOKEN_NOT_WATCHED, LOG_ERR(err));
        return;
    }
    loop_poll_want(front->token_poll, LOOP_READABLE);
}

static void on_time(void *ctx)
{
    struct front *front = ctx;
    service_tick(front->service);
    if (service_token_fd(front->service) < 0) {
        unwatch_token(front);
    }
}

/* After each wake-up: a call may have given the service something to do. */
static void on_turn(void *ctx)
{
    struct front *front = ctx;
    loop_timer_at(front->timer, service_next_ms(front->service));
}

/* ---- the keeper ---- */

static void take_state(struct front *front, const struct role_message *message, int fd)
{
    front->states_left -= front->states_left > 0 ? 1 : 0;
    if (fd < 0 || message->value <= 0 || message->value > (int64_t)STATE_SIZE_MAX) {
        return;
    }
    size_t len = (size_t)message->value;
    CLEANUP(own_free_p) uint8_t *room = malloc(len);
    err_t err = room == NULL ? FAIL_ERRNO("out of memory for a state file")
                             : role_read_state(fd, span_mut_of(room, len));
    if (failed(err)) {
        log_event(EVENT_STATE_IGNORED, LOG_NUM("file", message->file), LOG_ERR(err));
        return;
    }
    service_remember(front->service, (enum state_file)message->file, span_of(room, len));
}

static void apply_uids(struct front *front)
{
    const struct config_listen *listen = &front->config.listen;
    net_set_allowed_uids(front->net, listen->allowed_uids, listen->allowed_uids_n);
}

static void reload(struct front *front, int fd)
{
    struct config config;
    err_t err = role_config_read(fd, &config);
    if (failed(err)) {
        log_event(EVENT_RELOAD_REFUSED, LOG_ERR(err));
        return;
    }
    front->config = config;
    log_set(config.log_format, config.log_level);
    service_reload(front->service, &config);
    if (front->net != NULL) {
        apply_uids(front);
    }
    log_event(EVENT_RELOADED);
}

/* Connections that stand go on; who waits in the old one's queue is let in first. */
static void listen_anew(struct front *front, int fd)
{
    OWN_FD fresh = fd;
    err_t err = front->net == NULL ? OK : net_listen(front->net, fresh);
    if (failed(err)) {
        log_event(EVENT_SOCKET_NOT_TAKEN, LOG_ERR(err));
        return;
    }
    (void)close(front->service_fd);
    front->service_fd = own_fd_take(&fresh);
}

static void on_drained(void *ctx)
{
    end(ctx);
}

static void drain(struct front *front)
{
    log_event(EVENT_DRAINING);
    if (front->net == NULL) {
        end(front);
    } else {
        net_drain(front->net, on_drained, front);
    }
}

static void take_stored(struct front *front, const struct role_message *message)
{
    err_t failure =
        FAIL_DETAIL(E_SYSTEM, message->value, "the keeper could not store a state file");
    if (message->file < STATE_FILES) {
        service_stored(front->service, (enum state_file)message->file,
                       message->value == 0 ? OK : failure);
        service_storing(front->service, message->file, message->value == 0 ? "" : message->text);
    }
}

static void take_message(struct front *front, const struct role_message *message, int fd)
{
    OWN_FD owned = fd;
    switch ((enum role_kind)message->kind) {
    case ROLE_STATE_DATA:
        take_state(front, message, owned);
        break;
    case ROLE_STATE_STORED:
        take_stored(front, message);
        break;
    case ROLE_TOKEN_SOCKET:
        if (owned >= 0) {
            front->token = message->value;
            attach_token(front, own_fd_take(&owned));
        }
        break;
    case ROLE_RELOAD:
        reload(front, owned);
        break;
    case ROLE_SERVICE_SOCKET:
        if (owned >= 0) {
            listen_anew(front, own_fd_take(&owned));
        }
        break;
    case ROLE_DRAIN:
        drain(front);
        break;
    case ROLE_PING:
        keeper_tell(ROLE_PONG, 0, "");
        break;
    case ROLE_STATE_TROUBLE:
        service_storing(front->service, STATE_FILES, message->text);
        break;
    case ROLE_PIN_LOCK:
    case ROLE_PONG:
    case ROLE_STATE_GET:
    case ROLE_STATE_PUT:
    case ROLE_STATE_APPEND:
    case ROLE_READY:
    case ROLE_STATUS:
    case ROLE_KILL_TOKEN:
    default:
        log_event(EVENT_KEEPER_MESSAGE_IGNORED, LOG_NUM("kind", message->kind));
        break;
    }
}

/* One message. False: there is none now, or the keeper is gone (then all ends). */
static bool receive(struct front *front, bool wait)
{
    struct role_message message;
    int fd = -1;
    err_t err = role_receive(ROLE_FD_CONTROL, wait, &message, &fd);
    if (failed(err) && err.code != E_UNAVAILABLE) {
        log_event(EVENT_KEEPER_GONE, LOG_ERR(err));
        end(front);
    }
    if (failed(err)) {
        return false;
    }
    take_message(front, &message, fd);
    return !front->ends;
}

static void on_control(void *ctx, int events)
{
    struct front *front = ctx;
    (void)events;
    while (receive(front, false)) {
    }
}

/*
 * What was remembered must be known before the first listing is judged: here alone the front waits.
 */
static err_t fetch_state(struct front *front)
{
    static const enum state_file files[] = {STATE_CURRENT, STATE_HEALTH, STATE_SEEDS};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const struct role_message message = {.kind = ROLE_STATE_GET, .file = files[i]};
        TRY(role_send(ROLE_FD_CONTROL, &message, -1));
        front->states_left++;
    }
    while (front->states_left > 0) {
        if (!receive(front, true)) {
            return FAIL(E_UNAVAILABLE, "the keeper ended during the start");
        }
    }
    return OK;
}

/* ---- life ---- */

static err_t build(struct front *front)
{
    const struct service_events events = {front, on_reply};
    const struct kms_outputs outputs = {front, on_put_state, on_line, on_hung};
    TRY(loop_new(&front->loop));
    TRY(service_new(&front->config, &events, &outputs, &front->service));
    TRY(fetch_state(front));
    service_start(front->service);
    TRY(loop_poll_new(front->loop, ROLE_FD_CONTROL, on_control, front, &front->control_poll));
    loop_poll_want(front->control_poll, LOOP_READABLE);
    TRY(loop_timer_new(front->loop, on_time, front, &front->timer));
    TRY(loop_turn_new(front->loop, on_turn, front, &front->turn));
    const struct net_events net_events = {front, on_full};
    TRY(net_new(front->loop, front->service_fd, front->service, &net_events, &front->net));
    apply_uids(front);
    loop_timer_at(front->timer, service_next_ms(front->service));
    return OK;
}

/* Whoever signals the whole group means the keeper, which then drains us. */
static void ignore_signals(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)signal(numbers[i], SIG_IGN);
    }
}

static err_t prepare(struct front *front)
{
    TRY(role_start(PROGRAM, &front->config));
    log_init(PROGRAM, front->config.log_format, front->config.log_level);
    ignore_signals();
    TRY(secret_init(&secret_budget_front));
    TRY(secret_serve_crypto(false));
    int flags = fcntl(ROLE_FD_SERVICE, F_GETFL);
    if (flags < 0 || fcntl(ROLE_FD_SERVICE, F_SETFL, flags | O_NONBLOCK) != 0) {
        return FAIL_ERRNO("there is no listening socket");
    }
    return OK;
}

static err_t run(struct front *front)
{
    TRY(prepare(front));
    front->prepared = true;
    TRY(build(front));
    log_event(EVENT_SERVING, LOG_NUM("locked_bytes", secret_locked_bytes()),
              LOG_NUM("seeds_hidden", secret_seeds_hidden()));
    keeper_tell(ROLE_READY, 0, "");
    loop_run(front->loop);
    return OK;
}

int main(int argc, char **argv)
{
    static struct front front = {.token_fd = -1, .service_fd = ROLE_FD_SERVICE};
    if (role_told_version(argc, argv, PROGRAM)) {
        return EXIT_SUCCESS;
    }
    err_t err = run(&front);
    if (failed(err) && !front.ends) {
        log_event(EVENT_FRONT_FAILED, LOG_ERR(err));
    }
    front_done(&front);
    if (!failed(err) || front.ends) {
        return EXIT_SUCCESS;
    }
    return front.prepared || role_may_pass(err) ? EXIT_FAILURE : ROLE_EXIT_LASTING;
}
