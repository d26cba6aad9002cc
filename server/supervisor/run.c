#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/supervisor/alive.h"
#include "server/supervisor/control.h"
#include "server/supervisor/folder.h"
#include "server/supervisor/notify.h"
#include "server/supervisor/reload.h"
#include "server/supervisor/roles.h"
#include "server/supervisor/supervisor.h"
#include "server/supervisor/tell.h"
#include "server/supervisor/watch.h"

#define DRAIN_MS 6000 /* the front finishes what runs */
/*
 * Beyond start_timeout, for which a login is waited for: its answer is written down, the module let
 * go of.
 */
#define STOP_MS  8000

/* ---- the end, in two steps: the front answers what it has, then the others go ---- */

static void drain(struct supervisor *supervisor, int64_t now_ms)
{
    if (supervisor->phase != PHASE_SERVING) {
        return;
    }
    struct keeping *front = supervisor_front(supervisor);
    log_event(EVENT_DRAINING);
    notify_stopping();
    supervisor->phase = PHASE_DRAINING;
    tell_role(front, ROLE_DRAIN, -1);
    front->kill_at_ms = now_ms + DRAIN_MS;
}

/* The front has ended. */
static void stop_others(struct supervisor *supervisor, int64_t now_ms)
{
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        struct keeping *role = &supervisor->roles[i];
        roles_stop(role, now_ms + roles_login_ms(supervisor, role) + STOP_MS);
    }
}

static bool all_ended(const struct supervisor *supervisor)
{
    size_t i = 0;
    while (i < supervisor->roles_n && supervisor->roles[i].pid == 0) {
        i++;
    }
    return i == supervisor->roles_n;
}

static void advance(struct supervisor *supervisor, int64_t now_ms)
{
    if (supervisor->exit_code != 0) {
        drain(supervisor, now_ms);
    }
    if (supervisor->phase == PHASE_DRAINING && supervisor_front(supervisor)->pid == 0) {
        supervisor->phase = PHASE_STOPPING;
        stop_others(supervisor, now_ms);
    }
    if (supervisor->phase == PHASE_STOPPING && all_ended(supervisor)) {
        supervisor->phase = PHASE_ENDED;
    }
}

/* ---- the loop ---- */

static void take_signal(struct supervisor *supervisor, int64_t now_ms)
{
    struct signalfd_siginfo info;
    if (read(supervisor->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return;
    }
    switch (info.ssi_signo) {
    case SIGCHLD:
        roles_reap(supervisor, now_ms, control_hear_out);
        break;
    case SIGHUP:
        if (supervisor->phase == PHASE_SERVING) {
            reload(supervisor);
        }
        break;
    default:
        drain(supervisor, now_ms);
        break;
    }
}

static int timeout_ms(int64_t next_ms, int64_t now_ms)
{
    if (next_ms == NEVER_MS) {
        return -1;
    }
    int64_t left_ms = next_ms - now_ms;
    return left_ms <= 0 ? 0 : (int)(left_ms < INT_MAX ? left_ms : INT_MAX);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_ms(const struct supervisor *supervisor)
{
    int64_t looks_ms = earlier(supervisor->watch.at_ms, supervisor->folder_ms);
    return earlier(earlier(roles_next_ms(supervisor), looks_ms), supervisor->alive_ms);
}

bool supervisor_turn(struct supervisor *supervisor)
{
    int64_t now_ms = clock_mono_ms();
    roles_tick(supervisor, now_ms);
    watch_tick(supervisor, now_ms);
    folder_tick(supervisor, now_ms);
    alive_tick(supervisor, now_ms);
    size_t n = supervisor->roles_n;
    struct pollfd fds[SUPERVISOR_ROLES_MAX + 1];
    for (size_t i = 0; i < n; i++) {
        fds[i] = (struct pollfd){.fd = supervisor->roles[i].control_fd, .events = POLLIN};
    }
    fds[n] = (struct pollfd){.fd = supervisor->signal_fd, .events = POLLIN};
    if (poll(fds, n + 1, timeout_ms(next_ms(supervisor), now_ms)) <= 0) {
        return true;
    }
    now_ms = clock_mono_ms();
    for (size_t i = 0; i < n; i++) {
        if (fds[i].revents != 0) {
            control_readable(supervisor, &supervisor->roles[i], now_ms);
        }
    }
    if (fds[n].revents != 0) {
        take_signal(supervisor, now_ms);
    }
    advance(supervisor, now_ms);
    return supervisor->phase != PHASE_ENDED;
}

void supervisor_run(struct supervisor *supervisor)
{
    while (supervisor_turn(supervisor)) {
    }
    log_event(EVENT_ENDED);
}
