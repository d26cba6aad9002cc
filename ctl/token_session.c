#define _GNU_SOURCE
#include "ctl/token_session.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/role_launch.h"
#include "ctl/signals.h"
#include "keys/envelope.h"

#define PROOF_LEN     32u
#define CALL_LIMIT_MS 10000
#define PROGRESS_MS   5000
#define ABSENT_MS                                                                                  \
    10000 /* a module or token that is not there may still come, but not for minutes */
/*
 * Beyond start_timeout, for which a login is waited for: its answer is written down, the module let
 * go of.
 */
#define END_MS 8000
#define SAY_MS 2000 /* whoever pressed Ctrl-C is told why nothing happens */

struct token_session {
    struct client *client;
    const struct state_dir *state;
    int control_fd;
    int signal_fd; /* while a login or the making of a key may be under way; else -1 */
    pid_t pid;
    int64_t end_ms; /* what its end may take */
    bool answered;  /* the call that is waited for */
    err_t err;           /* of that call */
    struct secret *data; /* its result */
    struct ipc_key *keys;
    size_t keys_n;
};

static void keep_keys(struct token_session *session, const struct client_reply *reply)
{
    free(session->keys);
    session->keys_n = 0;
    session->keys = calloc(reply->keys_n + 1, sizeof(*session->keys));
    if (session->keys == NULL) {
        session->err = FAIL(E_LIMIT, "out of memory for a listing");
        return;
    }
    span_move(session->keys, reply->keys, reply->keys_n * sizeof(*session->keys));
    session->keys_n = reply->keys_n;
}

static void on_reply(void *ctx, const struct client_reply *reply)
{
    struct token_session *session = ctx;
    session->answered = true;
    session->err = reply->err;
    if (failed(reply->err)) {
        return;
    }
    if (reply->verb == IPC_LIST || reply->verb == IPC_GENERATE) {
        keep_keys(session, reply);
    } else {
        secret_set_len(session->data, 0);
        session->err = secret_append(session->data, reply->data);
    }
}

static void on_hung(void *ctx)
{
    const struct token_session *session = ctx;
    (void)kill(session->pid, SIGKILL);
}

/* Questions about its PIN record. False when the process is gone. */
static bool serve_control(struct token_session *session)
{
    struct role_message message;
    OWN_FD fd = -1;
    err_t err = role_receive(session->control_fd, false, &message, &fd);
    if (failed(err)) {
        return err.code == E_UNAVAILABLE;
    }
    if (role_asks_state(&message)) {
        err = role_serve_state(session->control_fd, session->state, role_row(ROLE_TOKEN)->files,
                               &message, fd);
    }
    if (failed(err)) { /* the token process is told, and knows what it means */
        log_event(EVENT_STATE_NOT_SERVED, LOG_ERR(err));
    }
    return true;
}

static int wait_ms(const struct token_session *session, int64_t until_ms)
{
    int64_t now_ms = clock_mono_ms();
    int64_t next_ms = client_next_ms(session->client);
    int64_t wake_ms = next_ms < until_ms ? next_ms : until_ms;
    return wake_ms <= now_ms ? 0 : (int)(wake_ms - now_ms);
}

/* One turn of the loop. E_UNAVAILABLE when the process has ended; E_DEADLINE when we are to end. */
static err_t turn(struct token_session *session, int64_t until_ms)
{
    client_tick(session->client, clock_mono_ms());
    struct pollfd fds[] = {{.fd = client_fd(session->client), .events = POLLIN},
                           {.fd = session->control_fd, .events = POLLIN},
                           {.fd = session->signal_fd, .events = POLLIN}};
    int ready = poll(fds, 3, wait_ms(session, until_ms));
    if (ready < 0 && errno != EINTR) {
        return FAIL_ERRNO("cannot wait for the token process");
    }
    if (ready > 0 && fds[2].revents != 0) {
        return FAIL(E_DEADLINE, "interrupted");
    }
    bool alive = true;
    if (ready > 0 && fds[1].revents != 0) {
        alive = serve_control(session);
    }
    if (client_fd(session->client) >= 0) {
        client_readable(session->client, clock_mono_ms());
    }
    if (!alive || client_fd(session->client) < 0) {
        return FAIL(E_UNAVAILABLE, "the token process ended");
    }
    return OK;
}

static bool is_hopeless(const struct ipc_status *status, int64_t waited_ms)
{
    switch ((enum ipc_phase)status->phase) {
    case IPC_PHASE_PIN:
    case IPC_PHASE_CONFIG:
        return true;
    case IPC_PHASE_NO_MODULE:
    case IPC_PHASE_NO_TOKEN:
        return waited_ms > ABSENT_MS;
    case IPC_PHASE_STARTING:
    case IPC_PHASE_READY:
        break;
    }
    return false;
}

/* A wait without a word looks like a hang. True once it is said. */
static bool say_absent(const struct ipc_status *status, FILE *progress)
{
    bool absent = status->phase == IPC_PHASE_NO_MODULE || status->phase == IPC_PHASE_NO_TOKEN;
    return absent && fprintf(progress, "p11-kmsctl: waiting up to %d s for the token: %s\n",
                             ABSENT_MS / 1000, status->text) > 0;
}

static err_t wait_ready(struct token_session *session, int64_t timeout_ms, FILE *progress)
{
    int64_t start_ms = clock_mono_ms();
    bool said = false;
    while (client_status(session->client)->phase != IPC_PHASE_READY) {
        int64_t waited_ms = clock_mono_ms() - start_ms;
        if (waited_ms >= timeout_ms || is_hopeless(client_status(session->client), waited_ms)) {
            return FAIL(E_UNAVAILABLE, "the token is not to be had");
        }
        said = said || say_absent(client_status(session->client), progress);
        TRY(turn(session, start_ms + timeout_ms));
    }
    return OK;
}

static err_t start(struct token_session *session, const struct config *config,
                   const struct role_program *program)
{
    struct config quiet = *config; /* its everyday events would only blur this command's answer */
    quiet.log_level = config->log_level == LOG_LEVEL_INFO ? LOG_LEVEL_WARN : config->log_level;
    const struct role_launch launch = {
        .row = role_row(ROLE_TOKEN), .program = program, .config = &quiet, .state = session->state};
    struct role_running running;
    TRY(role_launch(&launch, &running));
    session->pid = running.pid;
    session->control_fd = running.control_fd;
    client_attach(session->client, running.service_fd, clock_mono_ms());
    return OK;
}

static err_t new_session(const struct config *config, const struct state_dir *state, int signal_fd,
                         struct token_session **ret_session)
{
    CLEANUP(token_session_close_p) struct token_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return FAIL_ERRNO("out of memory for a token session");
    }
    session->control_fd = -1;
    session->signal_fd = signal_fd;
    session->state = state;
    session->end_ms = (int64_t)config->tokens[0].start_timeout_s * 1000 + END_MS;
    const struct client_events events = {.ctx = session, .on_hung = on_hung};
    TRY(secret_new(SECRET_2KIB, CLIENT_PAYLOAD_MAX, &session->data));
    TRY(client_new(&events, 1, &session->client));
    *ret_session = TAKE(session);
    return OK;
}

static err_t log_in(struct token_session *session, const struct config *config,
                    const struct role_program *program, FILE *progress, char *ret_mend)
{
    TRY(start(session, config, program));
    err_t err = wait_ready(session, (int64_t)config->tokens[0].start_timeout_s * 1000, progress);
    if (failed(err) && client_fd(session->client) >= 0) { /* a dead process has no advice left */
        struct span mend = span_of_text(client_status(session->client)->text);
        span_move(ret_mend, mend.ptr, mend.len + 1);
    }
    return err;
}

/*
 * Our death would kill the token process, and within a login that leaves a PIN in doubt. So signals
 * wait, and end us as soon as the login is over or given up.
 */
err_t token_session_open(const struct config *config, const struct role_program *program,
                         const struct state_dir *state, FILE *progress, char *ret_mend,
                         struct token_session **ret_session)
{
    CLEANUP(signals_release) struct signals signals = {.fd = -1};
    CLEANUP(token_session_close_p) struct token_session *session = NULL;
    TRY(signals_hold(&signals));
    TRY(new_session(config, state, signals.fd, &session));
    TRY(log_in(session, config, program, progress, ret_mend));
    session->signal_fd = -1;
    *ret_session = TAKE(session);
    return OK;
}

static void close_control(struct token_session *session)
{
    own_fd_close_p(&session->control_fd);
    session->control_fd = -1;
}

/* Served until it has ended: a login that was under way has its answer written down. */
static void reap(struct token_session *session)
{
    int64_t begun_ms = clock_mono_ms();
    bool said = false;
    while (waitpid(session->pid, NULL, WNOHANG) == 0) {
        int64_t waited_ms = clock_mono_ms() - begun_ms;
        if (waited_ms >= session->end_ms) {
            (void)kill(session->pid, SIGKILL);
            (void)waitpid(session->pid, NULL, 0);
            return;
        }
        if (!said && waited_ms >= SAY_MS) {
            log_event(EVENT_WAITING_FOR_TOKEN_PROCESS,
                      LOG_NUM("at_most_s", session->end_ms / 1000));
            said = true;
        }
        struct pollfd control = {.fd = session->control_fd, .events = POLLIN};
        if (poll(&control, 1, 10) > 0 && !serve_control(session)) {
            close_control(session);
        }
    }
}

void token_session_close(struct token_session *session)
{
    if (session == NULL) {
        return;
    }
    client_free(session->client);
    if (session->pid > 0) {
        (void)kill(session->pid, SIGTERM);
        reap(session);
    }
    close_control(session);
    secret_free(session->data);
    free(session->keys);
    free(session);
}

const struct ipc_status *token_session_status(const struct token_session *session)
{
    return client_status(session->client);
}

/* progress, when not NULL, hears now and then that the token is still at it. */
static err_t call_for(struct token_session *session, struct client_request *request,
                      int64_t limit_ms, FILE *progress)
{
    int64_t start_ms = clock_mono_ms();
    int64_t say_ms = progress == NULL ? INT64_MAX : start_ms + PROGRESS_MS;
    request->done = on_reply;
    request->ctx = session;
    request->class = CLIENT_CANARY;
    request->deadline_ms = start_ms + limit_ms;
    session->answered = false;
    TRY(client_call(session->client, request, start_ms));
    while (!session->answered) {
        err_t err = turn(session, say_ms < request->deadline_ms ? say_ms : request->deadline_ms);
        if (failed(err) && !session->answered) {
            client_cancel(session->client, session);
            return err;
        }
        if (!session->answered && clock_mono_ms() >= say_ms) {
            (void)fprintf(progress,
                          "p11-kmsctl: the token has been at it for %lld s, and may take %lld\n",
                          (long long)(say_ms - start_ms) / 1000, (long long)limit_ms / 1000);
            say_ms += PROGRESS_MS;
        }
    }
    return session->err;
}

static err_t call(struct token_session *session, struct client_request *request)
{
    return call_for(session, request, CALL_LIMIT_MS, NULL);
}

err_t token_session_list(struct token_session *session, const struct ipc_list *list,
                         const struct ipc_key **ret_keys, size_t *ret_n)
{
    struct client_request request = {.verb = IPC_LIST, .list = *list};
    TRY(call(session, &request));
    *ret_keys = session->keys;
    *ret_n = session->keys_n;
    return OK;
}

err_t token_session_generate(struct token_session *session, const struct ipc_generate *generate,
                             int signal_fd, FILE *progress, struct ipc_key *ret_key)
{
    struct client_request request = {.verb = IPC_GENERATE, .generate = *generate};
    int64_t limit_ms = (int64_t)generate->limit_s * 1000 + CALL_LIMIT_MS;
    session->signal_fd = signal_fd;
    err_t err = call_for(session, &request, limit_ms, progress);
    session->signal_fd = -1;
    TRY(err);
    if (session->keys_n != 1) {
        return FAIL(E_PROTOCOL, "the token process answered without the new key");
    }
    *ret_key = session->keys[0];
    return OK;
}

/* One crypto call; its result moves to `out`. */
static err_t crypt_call(struct token_session *session, enum ipc_verb verb,
                        const struct ipc_key_ref *key, struct span data, struct secret *out)
{
    struct client_request request = {
        .verb = verb,
        .aad = span_of_text("p11-kmsctl proof"),
        .data = data,
        .random_n = PROOF_LEN,
    };
    if (key != NULL) {
        request.key = *key;
    }
    TRY(call(session, &request));
    secret_set_len(out, 0);
    return secret_append(out, secret_view(session->data));
}

err_t token_session_prove(struct token_session *session, const struct ipc_key_ref *key)
{
    CLEANUP(secret_free_p) struct secret *random = NULL;
    CLEANUP(secret_free_p) struct secret *wrapped = NULL;
    CLEANUP(secret_free_p) struct secret *opened = NULL;
    TRY(secret_new(SECRET_2KIB, CLIENT_PAYLOAD_MAX, &random));
    TRY(secret_new(SECRET_2KIB, CLIENT_PAYLOAD_MAX, &wrapped));
    TRY(secret_new(SECRET_2KIB, CLIENT_PAYLOAD_MAX, &opened));
    TRY(crypt_call(session, IPC_RANDOM, NULL, span_of(NULL, 0), random));
    TRY(crypt_call(session, IPC_WRAP, key, secret_view(random), wrapped));
    TRY(crypt_call(session, IPC_UNWRAP, key, secret_view(wrapped), opened));
    if (secret_view(opened).len != PROOF_LEN ||
        !secret_equal(secret_view(random), secret_view(opened))) {
        return FAIL(E_CRYPTO, "the token opened what it wrapped to something else");
    }
    return OK;
}
