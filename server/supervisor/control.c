#include "server/supervisor/control.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "server/supervisor/alive.h"
#include "server/supervisor/folder.h"
#include "server/supervisor/notify.h"
#include "server/supervisor/roles.h"

#define ENDING_MS 2000
#define QUEUE_MAX 1024 /* more than a socket holds: a role that lives on cannot keep us here */

static void say_not_served(const struct supervisor *supervisor, const struct keeping *role,
                           const struct role_message *message, err_t err)
{
    char name[STATE_NAME_MAX] = "";
    char text[256];
    (void)!failed(state_file_name(&supervisor->state, (enum state_file)message->file,
                                  message->text, name));
    state_explain(supervisor->config.state_dir, name, err, text, sizeof(text));
    log_event(EVENT_STATE_NOT_SERVED, LOG_TEXT("role", role->row->program), LOG_TEXT("mend", text),
              LOG_ERR(err));
}

/* A full disk fails every 20 s: said once for each reason. */
static void serve_state(struct supervisor *supervisor, struct keeping *role,
                        const struct role_message *message, int fd)
{
    err_t ready = folder_ready(supervisor);
    err_t err =
        failed(ready)
            ? role_refuse_state(role->control_fd, &supervisor->state, message, ready)
            : role_serve_state(role->control_fd, &supervisor->state, role->row->files, message, fd);
    unsigned long why = failed(err) ? err.detail + 1 : 0;
    unsigned long *said = message->file < STATE_FILES ? &role->unserved[message->file] : NULL;
    bool news = said == NULL || *said != why;
    if (said != NULL) {
        *said = why;
    }
    if (failed(err) && news) {
        say_not_served(supervisor, role, message, err);
    }
}

static void on_ready(struct supervisor *supervisor)
{
    if (!supervisor->ready && supervisor->phase == PHASE_SERVING) {
        supervisor->ready = true;
        notify_ready();
    }
}

/*
 * What the front says of a token process that has ended by itself meanwhile is not meant for the
 * next one.
 */
static void kill_token(const struct supervisor *supervisor, const struct role_message *message)
{
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        const struct keeping *role = &supervisor->roles[i];
        if (supervisor_is(role, ROLE_TOKEN) && role->pid == message->value && role->pid > 0) {
            roles_kill(role, message->text);
            return;
        }
    }
    log_event(EVENT_ROLE_ENDED_ALREADY, LOG_TEXT("role", role_row(ROLE_TOKEN)->program),
              LOG_NUM("pid", message->value));
}

static void take_message(struct supervisor *supervisor, struct keeping *role,
                         const struct role_message *message, int fd)
{
    bool of_front = supervisor_is(role, ROLE_FRONT);
    pulse_heard(&role->pulse);
    switch ((enum role_kind)message->kind) {
    case ROLE_STATE_GET:
    case ROLE_STATE_PUT:
    case ROLE_STATE_APPEND:
        serve_state(supervisor, role, message, fd);
        return;
    case ROLE_STATUS:
        notify_status(message->text);
        return;
    case ROLE_READY:
        if (of_front) {
            role->was_up = true;
            on_ready(supervisor);
            return;
        }
        break;
    case ROLE_KILL_TOKEN:
        if (of_front) {
            kill_token(supervisor, message);
            return;
        }
        break;
    case ROLE_PONG:
        pulse_answered(&role->pulse);
        return;
    case ROLE_STATE_DATA:
    case ROLE_STATE_STORED:
    case ROLE_STATE_TROUBLE:
    case ROLE_TOKEN_SOCKET:
    case ROLE_PIN_LOCK:
    case ROLE_PING:
    case ROLE_RELOAD:
    case ROLE_DRAIN:
    case ROLE_SERVICE_SOCKET:
    default:
        break;
    }
    log_event(EVENT_MESSAGE_IGNORED, LOG_TEXT("role", role->row->program),
              LOG_NUM("kind", message->kind));
}

/* False: there is none, or no more to come. */
static bool hear_one(struct supervisor *supervisor, struct keeping *role, int64_t now_ms)
{
    struct role_message message;
    OWN_FD fd = -1;
    err_t err = role_receive(role->control_fd, false, &message, &fd);
    if (!failed(err)) {
        take_message(supervisor, role, &message, fd);
        return true;
    }
    if (err.code == E_UNAVAILABLE) {
        return false;
    }
    if (err.code != E_NOT_FOUND) {
        log_event(EVENT_CONTROL_BROKEN, LOG_TEXT("role", role->row->program), LOG_ERR(err));
    }
    roles_end(role, now_ms + ENDING_MS);
    return false;
}

void control_readable(struct supervisor *supervisor, struct keeping *role, int64_t now_ms)
{
    (void)hear_one(supervisor, role, now_ms);
}

void control_hear_out(struct supervisor *supervisor, struct keeping *role, int64_t now_ms)
{
    if (role->control_fd < 0) {
        return;
    }
    for (int i = 0; i < QUEUE_MAX && hear_one(supervisor, role, now_ms); i++) {
        alive_tick(supervisor, clock_mono_ms()); /* each may store a file, on a slow disk */
    }
}
