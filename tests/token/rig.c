#define _GNU_SOURCE
#include "tests/token/rig.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/role_launch.h"
#include "base/version.h"
#include "tests/kit/unit.h"

#define REALM       "00112233445566778899aabbccddeeff"
#define SOFTHSM_MAKE SOURCE_DIR "/softhsm-config/make-token"
#define NSS_MAKE     SOURCE_DIR "/softhsm-config/nss-token"

int rig_try(const char *const *argv, const char *const *env)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        for (size_t i = 0; env != NULL && env[i] != NULL; i++) {
            (void)putenv(strdup(env[i]));
        }
        union {
            const char *const *in;
            char *const *out;
        } words = {.in = argv};
        (void)execvp(argv[0], words.out);
        _exit(127);
    }
    int status = 0;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

void rig_run(const char *const *argv, const char *const *env)
{
    assert_int_equal(rig_try(argv, env), 0);
}

void rig_path(const struct token_rig *rig, const char *name, char *to, size_t to_len)
{
    assert_true(snprintf(to, to_len, "%s/%s", rig->folder, name) < (int)to_len);
}

void rig_write(struct token_rig *rig, const char *name, const char *text)
{
    char path[256];
    char temporary[256];
    rig_path(rig, name, path, sizeof(path));
    rig_path(rig, "new", temporary, sizeof(temporary));
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    assert_int_equal(rename(temporary, path), 0);
}

void rig_read(struct token_rig *rig, const char *name, char *to, size_t to_len)
{
    char path[256];
    rig_path(rig, name, path, sizeof(path));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, to, to_len - 1);
    assert_true(n >= 0);
    to[n] = '\0';
    (void)close(fd); /* -1 does no harm */
}

static void add_env(struct token_rig *rig, const char *name, const char *value)
{
    struct config_token *token = &rig->config.tokens[0];
    assert_true(token->env_n < CONFIG_ENV_MAX);
    (void)snprintf(token->env[token->env_n++], CONFIG_TEXT_LEN, "%s=%s", name, value);
}

static struct token_rig *rig_new(void)
{
    struct token_rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/p11-kms-rig.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    rig->control_fd = -1;
    rig->service_fd = -1;
    rig->call_ms = 20000;
    struct config *config = &rig->config;
    config->magic = CONFIG_MAGIC;
    config->version = CONFIG_VERSION;
    (void)snprintf(config->build_id, sizeof(config->build_id), "%s", P11KMS_BUILD_ID);
    (void)snprintf(config->ring, sizeof(config->ring), RIG_RING);
    config->tokens_n = 1;
    config->tokens[0].sessions = 3;
    config->tokens[0].start_timeout_s = 20;
    config->log_level = LOG_LEVEL_INFO;
    rig_path(rig, "token/pin", config->tokens[0].pin_file, sizeof(config->tokens[0].pin_file));
    rig_path(rig, "state", config->state_dir, sizeof(config->state_dir));
    assert_ok(state_open(config->state_dir, REALM, true, &rig->state));
    return rig;
}

struct token_rig *rig_new_softhsm(void)
{
    struct token_rig *rig = rig_new();
    char path[256];
    rig_path(rig, "token", path, sizeof(path));
    rig_run((const char *const[]){SOFTHSM_MAKE, path, NULL}, NULL);
    (void)snprintf(rig->config.tokens[0].module, CONFIG_PATH_LEN, "%s", SOFTHSM_MODULE);
    (void)snprintf(rig->config.tokens[0].uri, CONFIG_TEXT_LEN, "pkcs11:token=p11-kms-test");
    rig_path(rig, "token/softhsm2.conf", path, sizeof(path));
    add_env(rig, "SOFTHSM2_CONF", path);
    return rig;
}

struct token_rig *rig_new_nss(void)
{
    struct token_rig *rig = rig_new();
    char path[256];
    rig_path(rig, "token", path, sizeof(path));
    rig_run((const char *const[]){NSS_MAKE, path, NULL}, NULL);
    (void)snprintf(rig->config.tokens[0].module, CONFIG_PATH_LEN, "%s", NSS_MODULE);
    (void)snprintf(rig->config.tokens[0].uri, CONFIG_TEXT_LEN,
                   "pkcs11:token=NSS%%20Certificate%%20DB");
    (void)snprintf(rig->config.tokens[0].init_args, CONFIG_TEXT_LEN,
                   "configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' flags=", path);
    return rig;
}

void rig_free(struct token_rig *rig)
{
    (void)rig_stop(rig);
    state_close(&rig->state);
    rig_run((const char *const[]){"rm", "-rf", rig->folder, NULL}, NULL);
    free(rig);
}

void rig_use_shim(struct token_rig *rig)
{
    char path[256];
    add_env(rig, "P11KMS_SHIM_MODULE", rig->config.tokens[0].module);
    rig_path(rig, "shim.control", path, sizeof(path));
    add_env(rig, "P11KMS_SHIM_CONTROL", path);
    rig_path(rig, "shim.log", path, sizeof(path));
    add_env(rig, "P11KMS_SHIM_LOG", path);
    (void)snprintf(rig->config.tokens[0].module, CONFIG_PATH_LEN, "%s", SHIM_MODULE);
}

int rig_set_up_shim(void **state)
{
    struct token_rig *rig = rig_new_softhsm();
    rig_use_shim(rig);
    *state = rig;
    return 0;
}

int rig_tear_down(void **state)
{
    rig_free(*state);
    return 0;
}

void rig_shim(struct token_rig *rig, const char *orders)
{
    rig_write(rig, "shim.control", orders == NULL ? "" : orders);
}

unsigned rig_shim_count(struct token_rig *rig, const char *function)
{
    char path[256];
    char line[80];
    unsigned n = 0;
    rig_path(rig, "shim.log", path, sizeof(path));
    FILE *log = fopen(path, "re");
    while (log != NULL && fgets(line, sizeof(line), log) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        n += strcmp(line, function) == 0;
    }
    if (log != NULL) {
        (void)fclose(log);
    }
    return n;
}

static void greet(struct token_rig *rig, int fd)
{
    struct ipc_header hello = {.verb = IPC_HELLO};
    rig->service_fd = fd;
    rig->greeted = false;
    assert_ok(ipc_send(fd, &hello, span_of_text(P11KMS_BUILD_ID)));
}

void rig_start(struct token_rig *rig)
{
    CLEANUP(role_program_close)
    struct role_program program = {.fd = open(TOKEN_PROGRAM, O_RDONLY | O_CLOEXEC),
                                   .name = "p11-kms-token"};
    const struct role_launch launch = {.row = role_row(ROLE_TOKEN),
                                       .program = &program,
                                       .config = &rig->config,
                                       .state = &rig->state};
    struct role_running running;
    assert_true(program.fd >= 0);
    assert_ok(role_launch(&launch, &running));
    rig->pid = running.pid;
    rig->control_fd = running.control_fd;
    rig->puts = 0;
    greet(rig, running.service_fd);
}

void rig_change_client(struct token_rig *rig)
{
    int service_fd = -1;
    (void)close(rig->service_fd);
    assert_ok(role_renew_service(rig->control_fd, &service_fd));
    greet(rig, service_fd);
}

static void close_sockets(struct token_rig *rig)
{
    (void)close(rig->control_fd);
    (void)close(rig->service_fd);
    rig->control_fd = -1;
    rig->service_fd = -1;
}

int rig_stop(struct token_rig *rig)
{
    int status = 0;
    if (rig->pid == 0) {
        return 0;
    }
    close_sockets(rig);
    assert_int_equal(waitpid(rig->pid, &status, 0), rig->pid);
    rig->pid = 0;
    return status;
}

static bool is_killed(const struct token_rig *rig)
{
    return rig->kill_at_put > 0 && rig->puts >= rig->kill_at_put;
}

static void answer(struct token_rig *rig, const struct role_message *message, int fd)
{
    if (role_asks_state(message)) {
        (void)!failed(role_serve_state(rig->control_fd, &rig->state, role_row(ROLE_TOKEN)->files,
                                       message, fd));
    }
    rig->puts += message->kind == ROLE_STATE_PUT;
    if (is_killed(rig)) {
        (void)kill(rig->pid, SIGKILL);
    }
}

static void serve_state(struct token_rig *rig)
{
    struct role_message message;
    int fd = -1;
    if (failed(role_receive(rig->control_fd, false, &message, &fd))) {
        return;
    }
    if (!is_killed(rig)) {
        answer(rig, &message, fd);
    }
    (void)close(fd);
}

bool rig_wait_frame(struct token_rig *rig, int64_t until_ms)
{
    while (clock_mono_ms() < until_ms) {
        struct pollfd fds[] = {{.fd = rig->service_fd, .events = POLLIN},
                               {.fd = rig->control_fd, .events = POLLIN}};
        (void)poll(fds, 2, 100);
        if ((fds[1].revents & POLLIN) != 0) {
            serve_state(rig);
        }
        if ((fds[0].revents & POLLIN) != 0) {
            return true;
        }
        if (fds[0].revents != 0) {
            return false;
        }
    }
    return false;
}

void rig_serve(struct token_rig *rig, int ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    while (clock_mono_ms() < until_ms) {
        struct pollfd control = {.fd = rig->control_fd, .events = POLLIN};
        if (poll(&control, 1, 10) > 0) {
            serve_state(rig);
        }
    }
}

int rig_wait_end(struct token_rig *rig, int timeout_ms)
{
    int64_t until_ms = clock_mono_ms() + (int64_t)timeout_ms * PATIENCE;
    struct rig_reply reply;
    int status = 0;
    while (waitpid(rig->pid, &status, WNOHANG) == 0) {
        assert_true(clock_mono_ms() < until_ms);
        if (rig_wait_frame(rig, clock_mono_ms() + 50)) {
            (void)!failed(ipc_receive(rig->service_fd, &reply.header,
                                      span_mut_of(reply.bytes, sizeof(reply.bytes)), &reply.data));
        }
    }
    rig->pid = 0;
    close_sockets(rig);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
