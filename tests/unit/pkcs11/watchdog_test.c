/* Which call is over its limit, by a clock of the test's own. */
#include "pkcs11/watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "pkcs11/lost.h"
#include "tests/kit/unit.h"

#define NOW 1000000

static _Atomic int64_t now_ms;

int64_t __wrap_clock_mono_ms(void);

int64_t __wrap_clock_mono_ms(void)
{
    return now_ms;
}

static int set_up(void **state)
{
    (void)state;
    now_ms = NOW;
    return 0;
}

static void test_start_ends_the_process_of_a_call_that_hangs(void **state)
{
    (void)state;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (failed(watch_start())) {
            _exit(1);
        }
        watch_enter("C_Sign");
        now_ms = NOW + WATCH_CALL_MS + 1;
        (void)sleep(60);
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), TOKEN_EXIT_HUNG);
}

static void test_overdue_nobody_in_the_module_is_nobody(void **state)
{
    (void)state;
    assert_null(watch_overdue(INT64_MAX));
}

static void test_overdue_call_at_its_limit_is_in_time_and_one_past_is_named(void **state)
{
    (void)state;
    watch_enter("C_Sign");
    assert_null(watch_overdue(NOW + WATCH_CALL_MS));
    assert_string_equal(watch_overdue(NOW + WATCH_CALL_MS + 1), "C_Sign");
    watch_leave();
    assert_null(watch_overdue(INT64_MAX));
}

static void test_overdue_next_call_has_its_whole_time(void **state)
{
    (void)state;
    watch_enter("C_Sign");
    watch_leave();
    now_ms = NOW + WATCH_CALL_MS;
    watch_enter("C_Encrypt");
    assert_null(watch_overdue(NOW + 2 * WATCH_CALL_MS));
    assert_string_equal(watch_overdue(NOW + 2 * WATCH_CALL_MS + 1), "C_Encrypt");
    watch_leave();
}

static void test_hold_calls_share_its_limit_and_the_last_one_is_named(void **state)
{
    (void)state;
    watch_hold("the start", 3 * WATCH_CALL_MS);
    assert_string_equal(watch_overdue(NOW + 3 * WATCH_CALL_MS + 1), "the start");
    now_ms = NOW + WATCH_CALL_MS;
    watch_enter("C_Initialize");
    watch_leave();
    assert_null(watch_overdue(NOW + 3 * WATCH_CALL_MS));
    assert_string_equal(watch_overdue(NOW + 3 * WATCH_CALL_MS + 1), "C_Initialize");
    watch_release();
    assert_null(watch_overdue(INT64_MAX));
}

static void test_release_calls_have_their_own_limit_again(void **state)
{
    (void)state;
    watch_hold("the start", 3 * WATCH_CALL_MS);
    watch_release();
    watch_enter("C_Sign");
    assert_string_equal(watch_overdue(NOW + WATCH_CALL_MS + 1), "C_Sign");
    watch_leave();
}

static void *enter_only(void *call)
{
    watch_enter(call);
    return NULL;
}

/* Last: a thread that never leaves is watched for good. */
static void test_overdue_call_of_another_thread_is_named(void **state)
{
    (void)state;
    static char call[] = "C_Decrypt";
    pthread_t thread;
    watch_enter("C_Sign");
    watch_leave();
    assert_int_equal(pthread_create(&thread, NULL, enter_only, call), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_null(watch_overdue(NOW + WATCH_CALL_MS));
    assert_string_equal(watch_overdue(NOW + WATCH_CALL_MS + 1), "C_Decrypt");
}

#define WATCH_TEST(test_) cmocka_unit_test_setup(test_, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCH_TEST(test_start_ends_the_process_of_a_call_that_hangs),
        WATCH_TEST(test_overdue_nobody_in_the_module_is_nobody),
        WATCH_TEST(test_overdue_call_at_its_limit_is_in_time_and_one_past_is_named),
        WATCH_TEST(test_overdue_next_call_has_its_whole_time),
        WATCH_TEST(test_hold_calls_share_its_limit_and_the_last_one_is_named),
        WATCH_TEST(test_release_calls_have_their_own_limit_again),
        WATCH_TEST(test_overdue_call_of_another_thread_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
