/* Who waits for whom at pin.lock. Each descriptor stands for a process. */
#include "pkcs11/pin_lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/state.h"
#include "tests/kit/unit.h"

#define FDS        3
#define AT_ONCE_MS 1 /* one look at least */

static char path[64];
static int fds[FDS];
static atomic_bool ending;

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "%s", "/tmp/p11-kms-pin-lock-XXXXXX");
    fds[0] = mkstemp(path);
    for (size_t i = 0; i < FDS; i++) {
        fds[i] = i == 0 ? fds[0] : open(path, O_RDWR | O_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    atomic_store(&ending, false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < FDS; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
    return unlink(path);
}

static err_t take(int fd, const char *serial)
{
    return pin_lock_take(fd, serial, AT_ONCE_MS, &ending);
}

static void test_lock_of_one_token_waits_for_no_other(void **state)
{
    (void)state;
    assert_ok(take(fds[0], "0123456789abcdef"));
    assert_ok(take(fds[1], "0123456789abcdeg"));
    assert_ok(take(fds[2], ""));
}

static void test_lock_of_one_token_is_for_one_process(void **state)
{
    (void)state;
    assert_ok(take(fds[0], "a"));
    assert_fails(take(fds[1], "a"), E_DEADLINE);
    pin_lock_release(fds[0]);
    assert_ok(take(fds[1], "a"));
    assert_fails(take(fds[0], "a"), E_DEADLINE);
    assert_ok(take(fds[0], "b"));
}

/* p11-kmsctl pin-retry, and an earlier build. */
static void test_lock_of_the_whole_waits_for_every_login_and_they_for_it(void **state)
{
    (void)state;
    assert_ok(take(fds[0], "a"));
    assert_ok(take(fds[1], "b"));
    assert_fails(state_wait_lock(fds[2], 0), E_DEADLINE);
    pin_lock_release(fds[0]);
    assert_fails(state_wait_lock(fds[2], 0), E_DEADLINE);
    pin_lock_release(fds[1]);
    assert_ok(state_wait_lock(fds[2], 0));
    assert_fails(take(fds[0], "a"), E_DEADLINE);
    assert_fails(take(fds[1], "b"), E_DEADLINE);
    assert_int_equal(flock(fds[2], LOCK_UN), 0);
    assert_ok(take(fds[0], "a"));
}

static void test_lock_that_is_not_had_holds_up_nobody(void **state)
{
    (void)state;
    assert_ok(take(fds[0], "a"));
    assert_fails(take(fds[1], "a"), E_DEADLINE);
    pin_lock_release(fds[0]);
    assert_ok(state_wait_lock(fds[2], 0));
}

static void test_lock_is_not_taken_by_a_process_that_is_told_to_end(void **state)
{
    (void)state;
    atomic_store(&ending, true);
    assert_fails(pin_lock_take(fds[0], "a", 60000, &ending), E_DEADLINE);
    atomic_store(&ending, false);
    assert_ok(take(fds[1], "a"));
}

static void test_lock_of_no_file_is_told(void **state)
{
    (void)state;
    assert_fails(take(-1, "a"), E_SYSTEM);
    int read_only = open(path, O_RDONLY | O_CLOEXEC);
    assert_fails(take(read_only, "a"), E_SYSTEM);
    assert_int_equal(close(read_only), 0);
}

#define LOCK_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCK_TEST(test_lock_of_one_token_waits_for_no_other),
        LOCK_TEST(test_lock_of_one_token_is_for_one_process),
        LOCK_TEST(test_lock_of_the_whole_waits_for_every_login_and_they_for_it),
        LOCK_TEST(test_lock_that_is_not_had_holds_up_nobody),
        LOCK_TEST(test_lock_is_not_taken_by_a_process_that_is_told_to_end),
        LOCK_TEST(test_lock_of_no_file_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
