/* What a vendor's module may not leave behind: a process whose memory others can read. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/role.h"
#include "tests/kit/unit.h"
#include "tests/token/rig.h"

/* By one of the same user, without root's right to read everything; as its memory could be. */
static bool can_be_read(pid_t pid)
{
    pid_t reader = fork();
    if (reader == 0) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
        _exit(failed(role_drop_capabilities()) ? 2 : open(path, O_RDONLY | O_CLOEXEC) >= 0);
    }
    int status = -1;
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 1;
}

/* As a token process with a module that made it dumpable: it has no capabilities. */
static pid_t start_open_one(void)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)!failed(role_drop_capabilities());
        (void)!write(ready[1], "x", 1);
        (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return pid;
}

static void test_confine_module_that_opens_the_process_is_undone(void **state)
{
    struct token_rig *rig = *state;
    pid_t open_one = start_open_one(); /* with which it would be seen */
    rig_shim(rig, "C_Initialize bare\n");
    rig_start_ready(rig);
    assert_true(can_be_read(open_one));
    assert_int_equal(kill(open_one, SIGKILL), 0);
    assert_int_equal(waitpid(open_one, NULL, 0), open_one);
    assert_false(can_be_read(rig->pid));
    rig_shim(rig, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_confine_module_that_opens_the_process_is_undone,
                                        rig_set_up_shim, rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
