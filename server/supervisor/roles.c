#define _GNU_SOURCE
#include "server/supervisor/roles.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "server/supervisor/tell.h"
#include "server/supervisor/folder.h"

/* A token process that cannot be given a new socket; beyond a login that is under way. */
#define STOP_MS 10000

static void close_now(int *fd)
{
    own_fd_close_p(fd);
    *fd = -1;
}

int64_t roles_login_ms(const struct supervisor *supervisor)
{
    return (int64_t)supervisor->config.token.start_timeout_s * 1000;
}

/* ---- starting ---- */

/* The front's end of the token socketpair; kept until there is a front. */
static void hand_over_token(struct supervisor *supervisor)
{
    const struct keeping *front = &supervisor->roles[ROLE_FRONT];
    if (supervisor->token_peer_fd < 0 || front->control_fd < 0) {
        return;
    }
    const struct role_message message = {.kind = ROLE_TOKEN_SOCKET,
                                         .value = supervisor->roles[ROLE_TOKEN].pid};
    err_t err = role_send(front->control_fd, &message, supervisor->token_peer_fd);
    if (failed(err)) {
        log_event(EVENT_TOKEN_NOT_HANDED_OVER, LOG_ERR(err));
    }
    close_now(&supervisor->token_peer_fd);
}

/*
 * A front that dies takes its end of the socket along. The token process is given another, and goes
 * on with its login, or with the one that it is in the midst of.
 */
static err_t renew_token_socket(struct supervisor *supervisor)
{
    const struct keeping *token = &supervisor->roles[ROLE_TOKEN];
    const struct role_message message = {.kind = ROLE_TOKEN_SOCKET};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return FAIL_ERRNO("cannot make the token socket");
    }
    OWN_FD theirs = ends[0];
    OWN_FD peer = ends[1];
    TRY(role_send(token->control_fd, &message, theirs));
    supervisor->token_peer_fd = own_fd_take(&peer);
    return OK;
}

static void keep_token(struct supervisor *supervisor, int64_t now_ms)
{
    struct keeping *token = &supervisor->roles[ROLE_TOKEN];
    bool needed = token->pid > 0 && token->control_fd >= 0 && supervisor->token_peer_fd < 0;
    if (!needed || supervisor->phase != PHASE_SERVING) {
        return;
    }
    err_t err = renew_token_socket(supervisor);
    if (failed(err)) {
        log_event(EVENT_TOKEN_NOT_KEPT, LOG_ERR(err));
        token->excused = true;
        roles_stop(token, now_ms + roles_login_ms(supervisor) + STOP_MS);
    }
}

static err_t spawn_with(struct supervisor *supervisor, struct keeping *role, int fds[ROLE_FD_COUNT],
                        const char *const *env)
{
    OWN_FD config_fd = -1;
    int ends[2];
    TRY(role_config_fd(&supervisor->config, &config_fd));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return FAIL_ERRNO("cannot make a control socket");
    }
    OWN_FD ours = ends[0];
    OWN_FD theirs = ends[1];
    fds[ROLE_FD_CONFIG] = config_fd;
    fds[ROLE_FD_CONTROL] = theirs;
    TRY(role_spawn(&role->program, fds, env, &role->pid));
    role->control_fd = own_fd_take(&ours);
    return OK;
}

static err_t spawn_front(struct supervisor *supervisor)
{
    int fds[ROLE_FD_COUNT] = {-1, -1, -1, -1, -1, -1, -1};
    fds[ROLE_FD_SERVICE] = supervisor->listener.fd;
    TRY(spawn_with(supervisor, &supervisor->roles[ROLE_FRONT], fds, NULL));
    if (supervisor->trouble[0] != '\0') {
        tell_role_text(&supervisor->roles[ROLE_FRONT], ROLE_STATE_TROUBLE, supervisor->trouble);
    }
    hand_over_token(supervisor);
    return OK;
}

static err_t spawn_token(struct supervisor *supervisor)
{
    const struct config_token *token = &supervisor->config.token;
    const char *env[CONFIG_ENV_MAX + 1] = {NULL};
    for (uint32_t i = 0; i < token->env_n && i < CONFIG_ENV_MAX; i++) {
        env[i] = token->env[i];
    }
    OWN_FD lock_fd = -1;
    int ends[2];
    TRY(folder_ready(supervisor));
    TRY(state_open_pin_lock(&supervisor->state, &lock_fd));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return FAIL_ERRNO("cannot make the token socket");
    }
    OWN_FD theirs = ends[0];
    OWN_FD peer = ends[1];
    int fds[ROLE_FD_COUNT] = {-1, -1, -1, -1, -1, -1, -1};
    fds[ROLE_FD_SERVICE] = theirs;
    fds[ROLE_FD_PIN_LOCK] = lock_fd;
    TRY(spawn_with(supervisor, &supervisor->roles[ROLE_TOKEN], fds, env));
    close_now(&supervisor->token_peer_fd);
    supervisor->token_peer_fd = own_fd_take(&peer);
    hand_over_token(supervisor);
    return OK;
}

static void start(struct supervisor *supervisor, enum role_id id, int64_t now_ms)
{
    struct keeping *role = &supervisor->roles[id];
    err_t err = id == ROLE_FRONT ? spawn_front(supervisor) : spawn_token(supervisor);
    if (failed(err)) {
        role->start_at_ms = now_ms + backoff_after(&role->backoff, 0);
        log_event(EVENT_ROLE_NOT_STARTED, LOG_TEXT("role", role->name), LOG_ERR(err));
        return;
    }
    role->started_ms = now_ms;
    role->kill_at_ms = NEVER_MS;
    role->excused = false;
    role->pulse = (struct pulse){0};
    log_event(EVENT_ROLE_STARTED, LOG_TEXT("role", role->name), LOG_NUM("pid", role->pid));
}

/* ---- ending ---- */

void roles_kill(const struct keeping *role, const char *why)
{
    if (role->pid > 0) {
        log_event(EVENT_ROLE_KILLED, LOG_TEXT("role", role->name), LOG_NUM("pid", role->pid),
                  LOG_TEXT("why", why));
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
    const struct log_field fields[] = {LOG_TEXT("role", role->name), LOG_NUM("pid", role->pid),
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
    log_event(EVENT_ROLE_CANNOT_START, LOG_TEXT("role", role->name),
              LOG_TEXT("reason", "its own line above says what this system does not grant it"),
              LOG_TEXT("then", then));
    if (!role->was_up) {
        supervisor->exit_code = EXIT_CONFIG;
    }
}

static void take_end(struct supervisor *supervisor, enum role_id id, int status, int64_t now_ms)
{
    struct keeping *role = &supervisor->roles[id];
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
    role->start_at_ms =
        now_ms + backoff_after(&role->backoff, role->excused ? BACKOFF_HEALTHY_MS : lived_ms);
    if (id == ROLE_TOKEN) {
        close_now(&supervisor->token_peer_fd);
    } else {
        keep_token(supervisor, now_ms);
    }
}

void roles_reap(struct supervisor *supervisor, int64_t now_ms,
                void (*hear_out)(struct supervisor *supervisor, enum role_id id, int64_t now_ms))
{
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (int id = 0; id < ROLE_IDS; id++) {
            if (supervisor->roles[id].pid == pid) {
                hear_out(supervisor, (enum role_id)id, now_ms);
                take_end(supervisor, (enum role_id)id, status, now_ms);
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
    for (int id = 0; id < ROLE_IDS; id++) {
        struct keeping *role = &supervisor->roles[id];
        if (role->pid > 0 && now_ms >= role->kill_at_ms) {
            roles_kill(role, "it did not end in time");
            role->kill_at_ms = NEVER_MS;
        }
        if (is_watched(supervisor, role)) {
            look_at(role, now_ms);
        }
        if (role->pid == 0 && supervisor->phase == PHASE_SERVING && now_ms >= role->start_at_ms) {
            start(supervisor, (enum role_id)id, now_ms);
        }
    }
}

int64_t roles_next_ms(const struct supervisor *supervisor)
{
    int64_t next_ms = NEVER_MS;
    for (int id = 0; id < ROLE_IDS; id++) {
        const struct keeping *role = &supervisor->roles[id];
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
