#define _GNU_SOURCE
#include "server/supervisor/roles.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "base/role_launch.h"
#include "server/supervisor/folder.h"
#include "server/supervisor/tell.h"

/* A token process that cannot be given a new socket; beyond a login that is under way. */
#define STOP_MS 10000

static void close_now(int *fd)
{
    own_fd_close_p(fd);
    *fd = -1;
}

int64_t roles_login_ms(const struct supervisor *supervisor, const struct keeping *role)
{
    const struct config_token *token = &supervisor->config.tokens[role->token];
    return role->row->of_token ? (int64_t)token->start_timeout_s * 1000 : 0;
}

/* ---- starting ---- */

/* Whether it serves the front over a socket of its own, of which the front has the other end. */
static bool serves_front(const struct keeping *role)
{
    return (role->row->made & 1u << ROLE_FD_SERVICE) != 0;
}

/*
 * The front's end of its service socket: kept until there is a front, and until that reads so much
 * that it fits.
 */
static void hand_over(struct supervisor *supervisor, struct keeping *role)
{
    const struct keeping *front = supervisor_front(supervisor);
    if (role->service_fd < 0 || front->control_fd < 0) {
        return;
    }
    const struct role_message message = {.kind = ROLE_TOKEN_SOCKET, .value = role->pid};
    err_t err = role_send(front->control_fd, &message, role->service_fd);
    if (err.code == E_SYSTEM && err.detail == EAGAIN) {
        return;
    }
    if (failed(err)) {
        log_event(EVENT_TOKEN_NOT_HANDED_OVER, LOG_ERR(err));
    }
    close_now(&role->service_fd);
}

/*
 * A front that dies takes its end of the socket along. The token process is given another, and goes
 * on with its login, or with the one that it is in the midst of.
 */
static void keep_on(struct supervisor *supervisor, struct keeping *role, int64_t now_ms)
{
    bool needed = role->pid > 0 && role->control_fd >= 0 && role->service_fd < 0;
    if (!needed || !serves_front(role) || supervisor->phase != PHASE_SERVING) {
        return;
    }
    err_t err = role_renew_service(role->control_fd, &role->service_fd);
    if (failed(err)) {
        log_event(EVENT_TOKEN_NOT_KEPT, LOG_ERR(err));
        role->excused = true;
        roles_stop(role, now_ms + roles_login_ms(supervisor, role) + STOP_MS);
    }
}

static err_t launch(struct supervisor *supervisor, struct keeping *role)
{
    const struct role_launch launch = {.row = role->row,
                                       .program = &role->program,
                                       .config = &supervisor->config,
                                       .token = role->token,
                                       .state = &supervisor->state,
                                       .given = {[ROLE_FD_SERVICE] = supervisor->listener.fd}};
    struct role_running running;
    if ((role->row->made & 1u << ROLE_FD_PIN_LOCK) != 0) {
        TRY(folder_ready(supervisor));
    }
    TRY(role_launch(&launch, &running));
    role->pid = running.pid;
    role->control_fd = running.control_fd;
    role->service_fd = running.service_fd;
    return OK;
}

static void start(struct supervisor *supervisor, struct keeping *role, int64_t now_ms)
{
    err_t err = launch(supervisor, role);
    if (failed(err)) {
        role->start_at_ms = now_ms + backoff_after(&role->backoff, 0);
        log_event(EVENT_ROLE_NOT_STARTED, LOG_TEXT("role", role->row->program), LOG_ERR(err));
        return;
    }
    role->started_ms = now_ms;
    role->kill_at_ms = NEVER_MS;
    role->excused = false;
    role->pulse = (struct pulse){0};
    if (supervisor_is(role, ROLE_FRONT) && supervisor->trouble[0] != '\0') {
        tell_role_text(role, ROLE_STATE_TROUBLE, supervisor->trouble);
    }
    log_event(EVENT_ROLE_STARTED, LOG_TEXT("role", role->row->program), LOG_NUM("pid", role->pid));
}

/* ---- ending ---- */

void roles_kill(const struct keeping *role, const char *why)
{
    if (role->pid > 0) {
        log_event(EVENT_ROLE_KILLED, LOG_TEXT("role", role->row->program),
                  LOG_NUM("pid", role->pid), LOG_TEXT("why", why));
        (void)kill(role->pid, SIGKILL);
    }
}

static void kill_by(struct keeping *role, int64_t kill_at_ms)
{
    if (kill_at_ms < role->kill_at_ms) {
        role->kill_at_ms = kill_at_ms;
    }
}

void roles_end(struct keeping *role, int64_t kill_at_ms)
{
    close_now(&role->control_fd);
    kill_by(role, kill_at_ms);
}

void roles_stop(struct keeping *role, int64_t kill_at_ms)
{
    if (role->pid > 0) {
        (void)kill(role->pid, SIGTERM);
    }
    kill_by(role, kill_at_ms);
}

static void log_end(const struct keeping *role, int status, int64_t lived_ms)
{
    bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const struct log_field fields[] = {LOG_TEXT("role", role->row->program),
                                       LOG_NUM("pid", role->pid),
                                       WIFSIGNALED(status) ? LOG_NUM("signal", WTERMSIG(status))
                                                           : LOG_NUM("status", WEXITSTATUS(status)),
                                       LOG_NUM("lived_ms", lived_ms)};
    log_event_write(fine ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, EVENT_ROLE_ENDED, fields,
                    sizeof(fields) / sizeof(fields[0]));
}

/*
 * It will not start before an operator acts. When it never has, to try on would only look alive: we
 * end. When it has, its system was changed under it: what is served without it goes on, and it is
 * tried again.
 */
static void take_refusal(struct supervisor *supervisor, const struct keeping *role)
{
    const char *then = role->was_up ? "it is tried again" : "the service ends";
    log_event(EVENT_ROLE_CANNOT_START, LOG_TEXT("role", role->row->program),
              LOG_TEXT("reason", "its own line above says what this system does not grant it"),
              LOG_TEXT("then", then));
    if (!role->was_up) {
        supervisor->exit_code = EXIT_CONFIG;
    }
}

static void take_end(struct supervisor *supervisor, struct keeping *role, int status,
                     int64_t now_ms)
{
    int64_t lived_ms = now_ms - role->started_ms;
    log_end(role, status, lived_ms);
    if (WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_LASTING) {
        take_refusal(supervisor, role);
    } else {
        role->was_up = true;
    }
    role->pid = 0;
    role->kill_at_ms = NEVER_MS;
    close_now(&role->control_fd);
    close_now(&role->service_fd);
    role->start_at_ms =
        now_ms + backoff_after(&role->backoff, role->excused ? BACKOFF_HEALTHY_MS : lived_ms);
    for (size_t i = 0; supervisor_is(role, ROLE_FRONT) && i < supervisor->roles_n; i++) {
        keep_on(supervisor, &supervisor->roles[i], now_ms);
    }
}

void roles_reap(struct supervisor *supervisor, int64_t now_ms,
                void (*hear_out)(struct supervisor *supervisor, struct keeping *role,
                                 int64_t now_ms))
{
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < supervisor->roles_n; i++) {
            struct keeping *role = &supervisor->roles[i];
            if (role->pid == pid) {
                hear_out(supervisor, role, now_ms);
                take_end(supervisor, role, status, now_ms);
            }
        }
    }
}

/* ---- time ---- */

/* The front, too, watches the token process, while there is one; and asks its main thread. */
static bool is_watched(const struct supervisor *supervisor, const struct keeping *role)
{
    return role->pid > 0 && role->control_fd >= 0 && role->kill_at_ms == NEVER_MS &&
           supervisor->phase == PHASE_SERVING;
}

static void look_at(struct keeping *role, int64_t now_ms)
{
    const struct role_message ping = {.kind = ROLE_PING};
    switch (pulse_look(&role->pulse, now_ms)) {
    case PULSE_ASK:
        /* One that reads so little that this does not fit will not answer either. */
        (void)!failed(role_send(role->control_fd, &ping, -1));
        break;
    case PULSE_HUNG:
        roles_kill(role, role->pulse.answered ? "it hangs: no answer for 8 s"
                                              : "it hangs: no answer within 60 s of its start");
        break;
    case PULSE_WAIT:
    default:
        break;
    }
}

void roles_tick(struct supervisor *supervisor, int64_t now_ms)
{
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        struct keeping *role = &supervisor->roles[i];
        if (role->pid > 0 && now_ms >= role->kill_at_ms) {
            roles_kill(role, "it did not end in time");
            role->kill_at_ms = NEVER_MS;
        }
        if (is_watched(supervisor, role)) {
            look_at(role, now_ms);
        }
        if (role->pid == 0 && supervisor->phase == PHASE_SERVING && now_ms >= role->start_at_ms) {
            start(supervisor, role, now_ms);
        }
    }
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        hand_over(supervisor, &supervisor->roles[i]);
    }
}

int64_t roles_next_ms(const struct supervisor *supervisor)
{
    int64_t next_ms = NEVER_MS;
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        const struct keeping *role = &supervisor->roles[i];
        int64_t at_ms = role->kill_at_ms;
        if (role->pid == 0) {
            at_ms = supervisor->phase == PHASE_SERVING ? role->start_at_ms : NEVER_MS;
        } else if (is_watched(supervisor, role) && role->pulse.next_ms < at_ms) {
            at_ms = role->pulse.next_ms;
        }
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    return next_ms;
}
