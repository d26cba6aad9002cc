#define _GNU_SOURCE
#include "server/supervisor/supervisor.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/log.h"
#include "base/own.h"
#include "keys/key_id.h"
#include "server/supervisor/notify.h"
#include "server/supervisor/rehearse.h"
#include "server/supervisor/roles.h"

/* Who is kept, a process each, of a row of_token one for each token. In this order they start. */
static const enum role_id kept[] = {ROLE_TOKEN, ROLE_FRONT};
static_assert(sizeof(kept) / sizeof(kept[0]) - 1 + CONFIG_TOKENS_MAX <= SUPERVISOR_ROLES_MAX,
              "there is room for all");

static struct keeping keeping_of(const struct role_row *row, uint32_t token)
{
    return (struct keeping){
        .row = row,
        .token = token,
        .program = {.fd = -1},
        .control_fd = -1,
        .service_fd = -1,
        .backoff = {.first_ms = row->backoff_first_ms, .max_ms = row->backoff_max_ms},
        .kill_at_ms = NEVER_MS,
    };
}

bool supervisor_is(const struct keeping *role, enum role_id id)
{
    return role->row == role_row(id);
}

struct keeping *supervisor_front(struct supervisor *supervisor)
{
    size_t i = 0;
    while (!supervisor_is(&supervisor->roles[i], ROLE_FRONT)) {
        i++;
    }
    return &supervisor->roles[i];
}

void supervisor_init(struct supervisor *supervisor, const struct config *config)
{
    *supervisor = (struct supervisor){
        .config = *config,
        .state = {.fd = -1},
        .lock_fd = -1,
        .pin_lock_fd = -1,
        .signal_fd = -1,
        .alive_ms = notify_alive_period_ms() == 0 ? NEVER_MS : 0,
        .listener = {.fd = -1, .folder_fd = -1},
    };
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        const struct role_row *row = role_row(kept[i]);
        uint32_t n = row->of_token ? config->tokens_n : 1;
        for (uint32_t token = 0; token < n; token++) {
            supervisor->roles[supervisor->roles_n++] = keeping_of(row, token);
        }
    }
}

static err_t problem_of_folder(struct problem *problem, const char *path, err_t err)
{
    char text[sizeof(problem->text)];
    state_explain(path, "", err, text, sizeof(text));
    return problem_set(problem, EXIT_CONFIG, "%s", text);
}

static err_t open_state(struct supervisor *supervisor, struct problem *problem)
{
    const char *path = supervisor->config.state_dir;
    uint8_t realm[ENVELOPE_REALM];
    char realm_hex[2 * ENVELOPE_REALM + 1];
    err_t err = key_id_realm(supervisor->config.ring, realm);
    if (failed(err)) {
        return problem_from(problem, EXIT_CONFIG, "ring", err);
    }
    key_id_hex(span_of(realm, sizeof(realm)), realm_hex);
    err = state_open(path, realm_hex, true, &supervisor->state);
    if (failed(err)) {
        return problem_of_folder(problem, path, err);
    }
    err = state_lock(&supervisor->state, &supervisor->lock_fd);
    if (failed(err) && err.code == E_STATE) {
        return problem_set(problem, EXIT_BUSY,
                           "%s/lock is held by another p11-kmsd (pid %" PRId64 ")", path,
                           state_lock_holder(&supervisor->state));
    }
    return failed(err) ? problem_of_folder(problem, path, err) : OK;
}

/* Opened once: an upgrade under a running daemon never mixes versions. */
static err_t open_programs(struct supervisor *supervisor, struct problem *problem)
{
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        struct keeping *role = &supervisor->roles[i];
        err_t err = role_program_open(role->row->program, &role->program);
        if (failed(err)) {
            return problem_from(problem, EXIT_CONFIG, role->row->program, err);
        }
    }
    return OK;
}

static err_t open_signals(struct supervisor *supervisor, struct problem *problem)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGCHLD);
    /* An ignored SIGCHLD, inherited, would hide how children end. */
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0) {
        supervisor->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    return supervisor->signal_fd >= 0
               ? OK
               : problem_from(problem, EXIT_FAILURE, "signals", FAIL_ERRNO("signalfd"));
}

static err_t drop_capabilities(const struct supervisor *supervisor)
{
    bool other_users = false;
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        other_users |= supervisor->roles[i].row->user != NULL;
    }
    return other_users ? role_keep_user_capabilities() : role_drop_capabilities();
}

err_t supervisor_open(struct supervisor *supervisor, struct problem *problem)
{
    TRY(open_state(supervisor, problem));
    TRY(open_programs(supervisor, problem));
    TRY(open_signals(supervisor, problem));
    TRY(rehearse(&supervisor->config, problem));
    TRY(listener_open(&supervisor->config.listen, &supervisor->listener, problem));
    err_t err = drop_capabilities(supervisor);
    return failed(err) ? problem_from(problem, EXIT_FAILURE, "capabilities", err) : OK;
}

void supervisor_close(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        role_program_close(&supervisor->roles[i].program);
        own_fd_close_p(&supervisor->roles[i].control_fd);
        own_fd_close_p(&supervisor->roles[i].service_fd);
    }
    listener_close(&supervisor->listener);
    own_fd_close_p(&supervisor->signal_fd);
    own_fd_close_p(&supervisor->lock_fd);
    own_fd_close_p(&supervisor->pin_lock_fd);
    state_close(&supervisor->state);
}
