#include "server/front/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "server/front/token_link.h"

void keeper_tell(enum role_kind kind, int64_t value, const char *text)
{
    struct role_message message = {.kind = kind, .value = value};
    (void)snprintf(message.text, sizeof(message.text), "%s", text);
    err_t err = role_send(ROLE_FD_CONTROL, &message, -1);
    if (failed(err)) {
        log_event(EVENT_KEEPER_NOT_TOLD, LOG_NUM("kind", kind), LOG_ERR(err));
    }
}

/* ---- state files ---- */

bool keeper_put(struct front *front, enum state_file file, struct span bytes)
{
    err_t err = files_put(&front->files, file, bytes, clock_mono_ms());
    if (failed(err)) { /* otherwise the keeper says what became of it */
        service_stored(front->service, file, err);
    }
    return !failed(err);
}

static void take_data(struct front *front, const struct role_message *message, int fd)
{
    bool ours = files_answered(&front->files, message, clock_mono_ms());
    if (!ours || fd < 0 || message->value <= 0 || message->value > (int64_t)STATE_SIZE_MAX) {
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

static void take_stored(struct front *front, const struct role_message *message)
{
    if (files_answered(&front->files, message, clock_mono_ms())) {
        service_storing(front->service, message->file, message->value == 0 ? "" : message->text);
    }
}

/* ---- orders ---- */

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
        front_apply_uids(front);
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
    front_end(ctx);
}

static void drain(struct front *front)
{
    log_event(EVENT_DRAINING);
    if (front->net == NULL) {
        front_end(front);
    } else {
        net_drain(front->net, on_drained, front);
    }
}

static void take_message(struct front *front, const struct role_message *message, int fd)
{
    OWN_FD owned = fd;
    switch ((enum role_kind)message->kind) {
    case ROLE_STATE_DATA:
        take_data(front, message, owned);
        break;
    case ROLE_STATE_STORED:
        take_stored(front, message);
        break;
    case ROLE_TOKEN_SOCKET:
        if (owned >= 0) {
            token_link_attach(front, message->value, own_fd_take(&owned));
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

/* ---- listening ---- */

/* One message. False: there is none now, or the keeper is gone (then all ends). */
static bool receive(struct front *front, bool wait)
{
    struct role_message message;
    int fd = -1;
    err_t err = role_receive(ROLE_FD_CONTROL, wait, &message, &fd);
    if (failed(err) && err.code != E_UNAVAILABLE) {
        log_event(EVENT_KEEPER_GONE, LOG_ERR(err));
        front_end(front);
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
err_t keeper_fetch(struct front *front)
{
    static const enum state_file files[] = {STATE_CURRENT, STATE_HEALTH, STATE_SEEDS};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        TRY(files_ask(&front->files, files[i]));
    }
    while (files_asking(&front->files)) {
        if (!receive(front, true)) {
            return FAIL(E_UNAVAILABLE, "the keeper ended during the start");
        }
    }
    return OK;
}

err_t keeper_watch(struct front *front)
{
    TRY(loop_poll_new(front->loop, ROLE_FD_CONTROL, on_control, front, &front->control_poll));
    loop_poll_want(front->control_poll, LOOP_READABLE);
    return OK;
}
