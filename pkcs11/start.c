#define _GNU_SOURCE
#include "pkcs11/start.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/role.h"
#include "base/role_confine.h"
#include "pkcs11/control.h"
#include "pkcs11/find.h"
#include "pkcs11/pin_login.h"
#include "pkcs11/pin_retry.h"
#include "pkcs11/pool.h"
#include "pkcs11/rv.h"
#include "pkcs11/status.h"
#include "pkcs11/thread.h"

#define RETRY_MS 2000
#define LATCH_MS 1000
#define HASH_S   10 /* on a slow and busy machine */

/* Lives as long as the process: workers borrow module and token. */
static struct {
    const struct config *config;
    struct uri *uri;
    struct module module;
    struct token token;
    struct session session; /* holds the login */
    struct pin_guard pin;
    pthread_mutex_t login; /* held from a login's begin to its answer in the record */
    atomic_bool ending;    /* no login is begun any more */
    atomic_bool up;
} start = {.login = PTHREAD_MUTEX_INITIALIZER};

static void say_rv(char *why, size_t why_len, const char *what, err_t err)
{
    if (err.code == E_TOKEN) {
        (void)snprintf(why, why_len, "%s: %s failed with %s", what, err.what, rv_name(err.detail));
    } else if (err.code == E_PROTOCOL) {
        (void)snprintf(why, why_len, "%s: %s: %lu", what, err.what, err.detail);
    } else {
        (void)snprintf(why, why_len, "%s: %s", what, err.what);
    }
}

static enum ipc_phase open_module(char *why, size_t why_len)
{
    const struct config_token *config = &start.config->tokens[0];
    if (failed(module_load(&start.module, config->module, why, why_len))) {
        return IPC_PHASE_NO_MODULE;
    }
    err_t err = module_initialise(&start.module, config->init_args);
    err = failed(err) ? err : role_confine(ROLE_TOKEN);
    if (failed(err)) {
        say_rv(why, why_len, "the module cannot be initialised", err);
        return IPC_PHASE_NO_MODULE;
    }
    return IPC_PHASE_READY;
}

static enum ipc_phase open_token(char *why, size_t why_len)
{
    err_t err = find_token(&start.module, start.uri, &start.token, why, why_len);
    if (err.code == E_NOT_FOUND) {
        return IPC_PHASE_NO_TOKEN;
    }
    start.session = (struct session){.module = &start.module, .token = &start.token};
    if (!failed(err)) {
        err = session_open(&start.session, false);
    }
    if (failed(err)) {
        say_rv(why, why_len, "the token cannot be reached", err);
        return IPC_PHASE_NO_TOKEN;
    }
    status_set_token(&start.token);
    return IPC_PHASE_READY;
}

static enum ipc_phase log_in(char *why, size_t why_len)
{
    if ((start.token.flags & CKF_LOGIN_REQUIRED) == 0) {
        return IPC_PHASE_READY;
    }
    (void)pthread_mutex_lock(&start.login);
    err_t err = pin_login(&start.pin, &start.session, why, why_len);
    (void)pthread_mutex_unlock(&start.login);
    if (err.code == E_UNAVAILABLE) {
        say_rv(why, why_len, "the token does not log in", err);
        return IPC_PHASE_NO_TOKEN;
    }
    return failed(err) ? IPC_PHASE_PIN : IPC_PHASE_READY;
}

static enum ipc_phase open_pool(char *why, size_t why_len)
{
    unsigned wanted = start.config->tokens[0].sessions;
    unsigned opened = 0;
    err_t err = pool_open(&start.module, &start.token, wanted, &opened);
    if (failed(err)) {
        say_rv(why, why_len, "no session can be opened", err);
        return IPC_PHASE_NO_TOKEN;
    }
    if (opened < wanted) {
        log_event(EVENT_TOKEN_SESSIONS_FEW, LOG_NUM("opened", opened), LOG_NUM("wanted", wanted));
    }
    return IPC_PHASE_READY;
}

static enum ipc_phase bring_up(char *why, size_t why_len)
{
    static enum ipc_phase (*const steps[])(char *, size_t) = {open_module, open_token, log_in,
                                                              open_pool};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        enum ipc_phase phase = steps[i](why, why_len);
        if (phase != IPC_PHASE_READY) {
            span_end_whole(why);
            return phase;
        }
    }
    return IPC_PHASE_READY;
}

static void wait_out_latch(void)
{
    do {
        (void)poll(NULL, 0, LATCH_MS);
    } while (!pin_retry_due(&start.pin, &start.session, clock_mono_ms()));
}

static void *run(void *unused)
{
    (void)unused;
    for (;;) {
        char why[400] = "";
        watch_hold("start of the module", start.config->tokens[0].start_timeout_s * 1000u);
        enum ipc_phase phase = bring_up(why, sizeof(why));
        watch_release();
        if (phase == IPC_PHASE_READY) {
            atomic_store(&start.up, true);
            status_set(phase, "");
            return NULL;
        }
        status_set(phase, why);
        if (phase == IPC_PHASE_PIN) {
            wait_out_latch();
        } else {
            (void)poll(NULL, 0, RETRY_MS);
        }
        /*
         * A module looks at its slots and flags anew only after this; it closes the sessions too.
         */
        module_finalise(&start.module);
    }
}

err_t start_run(const struct config *config)
{
    start.config = config;
    start.pin = (struct pin_guard){.config = &config->tokens[0],
                                    .state_dir = config->state_dir,
                                    .lock_fd = ROLE_FD_PIN_LOCK,
                                    .ending = &start.ending};
    TRY(control_start(&start.pin.control_fd));
    status_set(IPC_PHASE_STARTING, "");
    err_t err = uri_parse(config->tokens[0].uri, &start.uri);
    if (failed(err)) {
        status_set(IPC_PHASE_CONFIG, err.what);
        return OK;
    }
    return thread_start(run, NULL);
}

void start_end_logins(void)
{
    /* The watchdog ends a login that takes longer; the rest is for the hash of a refused PIN. */
    int64_t limit_s = (int64_t)start.config->tokens[0].start_timeout_s + HASH_S;
    int64_t until_ms = clock_mono_ms() + limit_s * 1000;
    atomic_store(&start.ending, true);
    if (pthread_mutex_trylock(&start.login) == 0) {
        return; /* and kept for good */
    }
    /*
     * Pings are not answered any more, for which a front would have us killed: it is told that we
     * go.
     */
    (void)shutdown(ROLE_FD_SERVICE, SHUT_RD);
    while (pthread_mutex_trylock(&start.login) != 0 && clock_mono_ms() < until_ms) {
        (void)poll(NULL, 0, 5);
    }
}

void start_undo(void)
{
    if (atomic_load(&start.up)) {
        module_finalise(&start.module);
    }
}
