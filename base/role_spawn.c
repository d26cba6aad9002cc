#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"
#include "base/version.h"

#define ENV_MAX 64u

struct environment {
    const char *entries[ENV_MAX + 1]; /* the last is NULL */
    size_t n;
};

/* Sanitizers, faked clocks and coverage of test builds; a shipped build passes none of them on. */
static bool is_test_variable(const char *entry)
{
    static const char *const starts[] = {"LD_PRELOAD=", "FAKETIME", "LLVM_PROFILE_FILE=", "GCOV_"};
    if (!P11KMS_TEST_BUILD) {
        return false;
    }
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        if (strncmp(entry, starts[i], strlen(starts[i])) == 0) {
            return true;
        }
    }
    const char *equals = strchr(entry, '=');
    const char *options = strstr(entry, "SAN_OPTIONS=");
    return options != NULL && equals == options + strlen("SAN_OPTIONS");
}

static err_t add_entry(struct environment *made, const char *entry)
{
    if (made->n == ENV_MAX) {
        return FAIL(E_LIMIT, "a role has more than 64 environment variables");
    }
    made->entries[made->n++] = entry;
    return OK;
}

static err_t make_environment(const char *const *env, struct environment *ret_made)
{
    TRY(add_entry(ret_made, "LD_BIND_NOW=1"));
    for (size_t i = 0; env != NULL && env[i] != NULL; i++) {
        TRY(add_entry(ret_made, env[i]));
    }
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (is_test_variable(*entry)) {
            TRY(add_entry(ret_made, *entry));
        }
    }
    return OK;
}

/* ---- in the child: only calls that are safe after fork ---- */

/* What one child is to be. */
struct plan {
    const struct role_program *program;
    const int *fds; /* ROLE_FD_COUNT */
    char *const *env;
    const struct role_user *user;
    pid_t parent;
};

static void default_signals(void)
{
    sigset_t none;
    const struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        (void)sigaction(number, &action, NULL);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Above all fixed numbers, so that none is overwritten before it has been copied. */
static int move_up(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ROLE_FD_COUNT);
}

static bool place(const int fds[ROLE_FD_COUNT])
{
    int high[ROLE_FD_COUNT];
    for (int i = 0; i < ROLE_FD_COUNT; i++) {
        high[i] = move_up(fds[i]);
        if (fds[i] >= 0 && high[i] < 0) {
            return false;
        }
    }
    if (high[STDIN_FILENO] < 0) {
        high[STDIN_FILENO] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (int i = 0; i < ROLE_FD_COUNT; i++) {
        if (high[i] >= 0 && dup2(high[i], i) < 0) {
            return false;
        }
        if (high[i] < 0 && i >= ROLE_FD_CONFIG) {
            (void)close(i);
        }
    }
    return true;
}

/* All three of each, so that there is no way back. */
static bool take_user(const struct role_user *user)
{
    return user == NULL ||
           (setgroups(1, &user->gid) == 0 && setresgid(user->gid, user->gid, user->gid) == 0 &&
            setresuid(user->uid, user->uid, user->uid) == 0);
}

/* The user first: a change of it would clear the signal for the parent's death. */
static void become(const struct plan *plan)
{
    const struct role_program *program = plan->program;
    char name[sizeof(program->name)];
    span_move(name, program->name, sizeof(name));
    char *const argv[] = {name, NULL};
    default_signals();
    int binary = move_up(program->fd); /* last: its errno is reported */
    if (binary < 0 || !take_user(plan->user) || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        return;
    }
    if (getppid() != plan->parent) {
        _exit(EXIT_FAILURE);
    }
    if (!place(plan->fds)) {
        return;
    }
    (void)syscall(SYS_execveat, binary, "", argv, plan->env, AT_EMPTY_PATH);
    if (errno == ENOSYS || errno == EPERM) { /* a profile that is older than the call */
        char path[32];
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", binary);
        (void)execve(path, argv, plan->env);
    }
}

/* ---- in the parent ---- */

static err_t mark_each(void)
{
    CLEANUP(own_dir_close_p) DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return FAIL_ERRNO("cannot list our own descriptors (is /proc mounted?)");
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) { /* "." and ".." count as 0 */
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (fd > STDERR_FILENO) {
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
    return OK;
}

/* Whoever started us may have left more open than we know. The call is of Linux 5.11. */
static err_t keep_descriptors(void)
{
    unsigned first = STDERR_FILENO + 1;
    return syscall(SYS_close_range, first, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0 ? OK : mark_each();
}

/* The report closes unwritten when the program runs. */
static err_t wait_exec(int report_fd, pid_t pid)
{
    int child_errno = 0;
    ssize_t n = 0;
    do {
        n = read(report_fd, &child_errno, sizeof(child_errno));
    } while (n < 0 && errno == EINTR);
    if (n == 0) {
        return OK;
    }
    (void)waitpid(pid, NULL, 0);
    return FAIL_DETAIL(E_SYSTEM, child_errno, "cannot run a program of ours");
}

err_t role_spawn(const struct role_program *program, const int fds[ROLE_FD_COUNT],
                 const char *const *env, const struct role_user *user, pid_t *ret_pid)
{
    struct environment made = {0};
    char *entries[ENV_MAX + 1];
    TRY(make_environment(env, &made));
    TRY(keep_descriptors());
    span_move(entries, made.entries, sizeof(entries));
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return FAIL_ERRNO("cannot make a pipe");
    }
    OWN_FD read_end = ends[0];
    OWN_FD write_end = ends[1];
    const struct plan plan = {program, fds, entries, user, getpid()};
    pid_t pid = fork();
    if (pid < 0) {
        return FAIL_ERRNO("cannot fork");
    }
    if (pid == 0) {
        int report = move_up(write_end);
        become(&plan);
        (void)!write(report, &(int){errno}, sizeof(int));
        _exit(EXIT_FAILURE);
    }
    (void)close(own_fd_take(&write_end));
    TRY(wait_exec(read_end, pid));
    *ret_pid = pid;
    return OK;
}
