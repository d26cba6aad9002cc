#include "base/clock.h"

#include <time.h>

#include "tests/kit/unit.h"

static clockid_t asked;
static struct timespec answer;

int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    asked = id;
    *now = answer;
    return 0;
}

static void test_each_clock_reads_its_own_source_in_its_unit(void **state)
{
    (void)state;
    answer = (struct timespec){.tv_sec = 1700000000, .tv_nsec = 987654321};
    assert_true(clock_real_s() == 1700000000);
    assert_int_equal(asked, CLOCK_REALTIME);
    assert_true(clock_boot_ms() == 1700000000987);
    assert_int_equal(asked, CLOCK_BOOTTIME);
    assert_true(clock_mono_ms() == 1700000000987);
    assert_int_equal(asked, CLOCK_MONOTONIC);
    assert_true(clock_mono_us() == 1700000000987654);
    assert_int_equal(asked, CLOCK_MONOTONIC);
}

static void test_times_past_2038_do_not_wrap(void **state)
{
    (void)state;
    answer = (struct timespec){.tv_sec = 5000000000, .tv_nsec = 0};
    assert_true(clock_real_s() == 5000000000);
    assert_true(clock_mono_us() == 5000000000000000);
}

static void test_build_date_is_a_sane_floor(void **state)
{
    (void)state;
    assert_true(clock_build_s() > 1600000000 || clock_build_s() == 0);
    assert_true(clock_build_s() <= (int64_t)time(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_clock_reads_its_own_source_in_its_unit),
        cmocka_unit_test(test_times_past_2038_do_not_wrap),
        cmocka_unit_test(test_build_date_is_a_sane_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
