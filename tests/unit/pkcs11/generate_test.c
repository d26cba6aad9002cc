#include "pkcs11/generate.h"

#include "tests/kit/unit.h"

#define NOW 1800000000u

static void test_generate_times_nothing_asked_is_now(void **state)
{
    (void)state;
    struct ipc_generate ask = {0};
    struct generate_times times;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_int_equal(times.not_before, NOW);
    assert_int_equal(times.created, NOW);
}

static void test_generate_times_floor_lies_ahead_is_taken(void **state)
{
    (void)state;
    struct ipc_generate ask = {.floor_s = NOW + 7};
    struct generate_times times;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_int_equal(times.not_before, NOW + 7);
    assert_int_equal(times.created, NOW);
}

static void test_generate_times_created_lies_ahead_is_taken(void **state)
{
    (void)state;
    struct ipc_generate ask = {.created_s = NOW + 7};
    struct generate_times times;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_int_equal(times.created, NOW + 7);
    assert_int_equal(times.not_before, NOW + 7);
    ask.not_before = NOW + 6;
    assert_fails(generate_times(&ask, NOW, &times), E_STATE);
    ask.created_s = NOW - 1;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_int_equal(times.created, NOW);
}

static void test_generate_times_notice_at_the_limit_passes_one_less_fails(void **state)
{
    (void)state;
    struct ipc_generate ask = {.not_before = NOW + 300, .min_notice_s = 300};
    struct generate_times times;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_fails(generate_times(&ask, NOW + 1, &times), E_STATE);
}

static void test_generate_times_not_before_in_the_past_fails(void **state)
{
    (void)state;
    struct ipc_generate ask = {.not_before = NOW - 1};
    struct generate_times times;
    assert_fails(generate_times(&ask, NOW, &times), E_STATE);
}

static void test_generate_times_clock_out_of_range_fails(void **state)
{
    (void)state;
    struct ipc_generate ask = {0};
    struct generate_times times;
    assert_fails(generate_times(&ask, 0, &times), E_INVALID);
    assert_fails(generate_times(&ask, (int64_t)UINT32_MAX + 1, &times), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate_times_nothing_asked_is_now),
        cmocka_unit_test(test_generate_times_floor_lies_ahead_is_taken),
        cmocka_unit_test(test_generate_times_created_lies_ahead_is_taken),
        cmocka_unit_test(test_generate_times_notice_at_the_limit_passes_one_less_fails),
        cmocka_unit_test(test_generate_times_not_before_in_the_past_fails),
        cmocka_unit_test(test_generate_times_clock_out_of_range_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
