/* role_spawn: what the new program finds, and what happens when it cannot be started. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"
#include "base/version.h"
#include "tests/kit/unit.h"

static bool no_pipe;
static bool no_fork;
static bool keeper_died;

int __real_pipe2(int ends[2], int flags);
int __wrap_pipe2(int ends[2], int flags);
int __wrap_pipe2(int ends[2], int flags)
{
    errno = EMFILE;
    return no_pipe ? -1 : __real_pipe2(ends, flags);
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    errno = EAGAIN;
    return no_fork ? -1 : __real_fork();
}

pid_t __real_getppid(void);
pid_t __wrap_getppid(void);
pid_t __wrap_getppid(void)
{
    return keeper_died ? 1 : __real_getppid();
}

static const int none[ROLE_FD_COUNT] = {-1, -1, -1, -1, -1, -1, -1};

static void open_program(const char *path, struct role_program *ret_program)
{
    *ret_program = (struct role_program){.fd = open(path, O_RDONLY | O_CLOEXEC), .name = "test"};
    assert_true(ret_program->fd >= 0);
}

/* The program is a shell that reads its script from descriptor 0. */
static int run_script(const char *script, int fds[ROLE_FD_COUNT])
{
    struct role_program shell;
    OWN_FD text = memfd_create("script", MFD_CLOEXEC);
    pid_t pid = 0;
    int status = -1;
    open_program("/bin/sh", &shell);
    assert_int_equal(write(text, script, strlen(script)), (ssize_t)strlen(script));
    assert_int_equal(lseek(text, 0, SEEK_SET), 0);
    fds[STDIN_FILENO] = text;
    assert_ok(role_spawn(&shell, fds, NULL, NULL, &pid));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    role_program_close(&shell);
    return status;
}

static void test_role_spawn_descriptors_lie_at_their_numbers_alone(void **state)
{
    (void)state;
    OWN_FD config = memfd_create("config", 0);
    OWN_FD leaked = fcntl(config, F_DUPFD, 20); /* not CLOEXEC: role_spawn must see to it */
    int fds[ROLE_FD_COUNT] = {-1, -1, -1, config, -1, -1, leaked};
    assert_int_equal(
        run_script(
            "test \"$(readlink /proc/$$/fd/3)\" = '/memfd:config (deleted)' &&\n"
            "test -e /proc/$$/fd/6 && test ! -e /proc/$$/fd/4 && test ! -e /proc/$$/fd/5 &&\n"
            "test ! -e /proc/$$/fd/20\n",
            fds),
        0);
}

static void test_role_spawn_crossed_descriptors_are_not_overwritten(void **state)
{
    (void)state;
    OWN_FD one = memfd_create("one", MFD_CLOEXEC);
    OWN_FD two = memfd_create("two", MFD_CLOEXEC);
    int held[2] = {fcntl(ROLE_FD_CONFIG, F_DUPFD_CLOEXEC, 30),
                   fcntl(ROLE_FD_CONTROL, F_DUPFD_CLOEXEC, 30)};
    int high[2] = {fcntl(one, F_DUPFD_CLOEXEC, 30), fcntl(two, F_DUPFD_CLOEXEC, 30)};
    assert_int_equal(dup2(high[0], ROLE_FD_CONTROL), ROLE_FD_CONTROL);
    assert_int_equal(dup2(high[1], ROLE_FD_CONFIG), ROLE_FD_CONFIG);
    int fds[ROLE_FD_COUNT] = {-1, -1, -1, ROLE_FD_CONTROL, ROLE_FD_CONFIG, -1, -1};
    int status = run_script("test \"$(readlink /proc/$$/fd/3)\" = '/memfd:one (deleted)' &&\n"
                            "test \"$(readlink /proc/$$/fd/4)\" = '/memfd:two (deleted)'\n", fds);
    const int places[2] = {ROLE_FD_CONFIG, ROLE_FD_CONTROL};
    for (size_t i = 0; i < 2; i++) {
        if (held[i] >= 0) {
            (void)dup2(held[i], places[i]);
            (void)close(held[i]);
        } else if (places[i] != one && places[i] != two) {
            (void)close(places[i]);
        }
        (void)close(high[i]);
    }
    assert_int_equal(status, 0);
}

static void test_role_spawn_descriptor_that_is_closed_is_an_error(void **state)
{
    (void)state;
    struct role_program program;
    int fds[ROLE_FD_COUNT] = {-1, -1, -1, 1000, -1, -1, -1};
    pid_t pid = 0;
    open_program("/bin/true", &program);
    err_t err = role_spawn(&program, fds, NULL, NULL, &pid);
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, EBADF);
    role_program_close(&program);
    program.fd = 1000;
    assert_int_equal(role_spawn(&program, none, NULL, NULL, &pid).detail, EBADF);
    assert_int_equal(pid, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

/* The keeper died between fork and exec: the signal for it was set too late, so the child looks. */
static void test_role_spawn_child_of_a_dead_keeper_does_not_become_the_program(void **state)
{
    (void)state;
    struct role_program program;
    pid_t pid = 0;
    int status = 0;
    open_program("/bin/true", &program);
    keeper_died = true;
    err_t err = role_spawn(&program, none, NULL, NULL, &pid);
    keeper_died = false;
    assert_ok(err);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
    role_program_close(&program);
}

static void test_role_spawn_without_pipe_or_process_is_an_error(void **state)
{
    (void)state;
    struct role_program program;
    pid_t pid = 0;
    open_program("/bin/true", &program);
    no_pipe = true;
    assert_int_equal(role_spawn(&program, none, NULL, NULL, &pid).detail, EMFILE);
    no_pipe = false;
    no_fork = true;
    assert_int_equal(role_spawn(&program, none, NULL, NULL, &pid).detail, EAGAIN);
    no_fork = false;
    assert_int_equal(pid, 0);
    role_program_close(&program);
}

static void test_role_spawn_environment_at_its_limit_runs_and_past_it_is_refused(void **state)
{
    (void)state;
    struct role_program program;
    const char *env[65] = {NULL};
    pid_t pid = 0;
    int status = -1;
    open_program("/bin/true", &program);
    for (size_t i = 0; i < 64; i++) {
        env[i] = "A=1";
    }
    assert_fails(role_spawn(&program, none, env, NULL, &pid),
                 E_LIMIT); /* with LD_BIND_NOW they are 65 */
    assert_int_equal(pid, 0);
    env[50] = NULL; /* room for what a test build adds */
    assert_ok(role_spawn(&program, none, env, NULL, &pid));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    role_program_close(&program);
}

static void test_role_spawn_variables_of_tests_are_kept_from_a_shipped_build(void **state)
{
    (void)state;
    (void)setenv("GCOV_P11KMS", "1", 1);
    (void)setenv("P11KMS_SAN_OPTIONS", "1", 1);
    (void)setenv("P11KMS_OTHER", "a SAN_OPTIONS=", 1);
    int fds[ROLE_FD_COUNT] = {-1, -1, -1, -1, -1, -1, -1};
    const char *script = P11KMS_TEST_BUILD
                             ? "test \"$GCOV_P11KMS$P11KMS_SAN_OPTIONS$P11KMS_OTHER\" = 11\n"
                             : "test -z \"$GCOV_P11KMS$P11KMS_SAN_OPTIONS$P11KMS_OTHER\"\n";
    assert_int_equal(run_script(script, fds), 0);
}

static void run_env(const char *const *env, const int fds[ROLE_FD_COUNT], int *ret_status)
{
    struct role_program program = {.fd = open("/usr/bin/env", O_RDONLY | O_CLOEXEC), .name = "env"};
    pid_t pid = 0;
    assert_ok(role_spawn(&program, fds, env, NULL, &pid));
    assert_int_equal(waitpid(pid, ret_status, 0), pid);
    role_program_close(&program);
}

static void test_role_spawn_environment_is_only_what_was_given(void **state)
{
    (void)state;
    OWN_FD out = memfd_create("out", MFD_CLOEXEC);
    const int fds[ROLE_FD_COUNT] = {-1, out, -1, -1, -1, -1, -1};
    const char *const env[] = {"GIVEN=1", NULL};
    int status = 0;
    (void)setenv("P11KMS_LEAK", "1", 1);
    run_env(env, fds, &status);
    char text[8192] = "";
    assert_true(pread(out, text, sizeof(text) - 1, 0) > 0);
    assert_non_null(strstr(text, "LD_BIND_NOW=1\n"));
    assert_non_null(strstr(text, "GIVEN=1\n"));
    assert_null(strstr(text, "P11KMS_LEAK"));
    assert_null(strstr(text, "PATH="));
}

static void test_role_spawn_what_cannot_run_is_an_error(void **state)
{
    (void)state;
    struct role_program program = {.fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC),
                                   .name = "passwd"};
    pid_t pid = 0;
    assert_fails(role_spawn(&program, none, NULL, NULL, &pid), E_SYSTEM);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    role_program_close(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_role_spawn_descriptors_lie_at_their_numbers_alone),
        cmocka_unit_test(test_role_spawn_crossed_descriptors_are_not_overwritten),
        cmocka_unit_test(test_role_spawn_descriptor_that_is_closed_is_an_error),
        cmocka_unit_test(test_role_spawn_child_of_a_dead_keeper_does_not_become_the_program),
        cmocka_unit_test(test_role_spawn_without_pipe_or_process_is_an_error),
        cmocka_unit_test(test_role_spawn_environment_at_its_limit_runs_and_past_it_is_refused),
        cmocka_unit_test(test_role_spawn_environment_is_only_what_was_given),
        cmocka_unit_test(test_role_spawn_what_cannot_run_is_an_error),
        cmocka_unit_test(test_role_spawn_variables_of_tests_are_kept_from_a_shipped_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
