#include "server/supervisor/backoff.h"

#include "tests/kit/unit.h"

static void test_backoff_after_quick_ends_doubles_to_its_maximum(void **state)
{
    (void)state;
    struct backoff backoff = {.first_ms = 100, .max_ms = 500};
    static const int64_t expected[] = {0, 100, 200, 400, 500, 500};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(backoff_after(&backoff, BACKOFF_HEALTHY_MS - 1), expected[i]);
    }
}

static void test_backoff_after_a_healthy_life_begins_anew(void **state)
{
    (void)state;
    struct backoff backoff = {.first_ms = 100, .max_ms = 500, .next_ms = 400};
    assert_int_equal(backoff_after(&backoff, BACKOFF_HEALTHY_MS), 0);
    assert_int_equal(backoff_after(&backoff, 0), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff_after_quick_ends_doubles_to_its_maximum),
        cmocka_unit_test(test_backoff_after_a_healthy_life_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
