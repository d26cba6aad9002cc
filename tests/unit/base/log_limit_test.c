#include "base/log_limit.h"

#include "base/log.h"
#include "tests/kit/unit.h"

static const char *event;
static int64_t suppressed;
static unsigned lines;

void __wrap_log_write(enum log_level level, const char *name, const struct log_field *fields,
                      size_t n);
void __wrap_log_write(enum log_level level, const char *name, const struct log_field *fields,
                      size_t n)
{
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_int_equal(n, 1);
    assert_string_equal(fields[0].key, "suppressed");
    event = name;
    suppressed = fields[0].number;
    lines++;
}

static int reset(void **state)
{
    (void)state;
    lines = 0;
    return 0;
}

static unsigned passed(struct log_limit *limit, unsigned n, int64_t now_ms)
{
    unsigned written = 0;
    for (unsigned i = 0; i < n; i++) {
        written += log_limit_passes(limit, now_ms) ? 1 : 0;
    }
    return written;
}

static void test_passes_ten_and_says_nothing_of_none(void **state)
{
    (void)state;
    struct log_limit limit = {.event = EVENT_PEER_REFUSED};
    assert_int_equal(passed(&limit, 10, 5000), 10);
    assert_true(log_limit_next_ms(&limit) == INT64_MAX);
    log_limit_tick(&limit, 20000);
    assert_int_equal(lines, 0);
}

static void test_eleventh_is_counted_and_said_at_the_end_of_the_period(void **state)
{
    (void)state;
    struct log_limit limit = {.event = EVENT_PEER_REFUSED};
    assert_int_equal(passed(&limit, 11, 5000), 10);
    assert_int_equal(log_limit_next_ms(&limit), 15000);
    log_limit_tick(&limit, 14999);
    assert_int_equal(lines, 0);
    log_limit_tick(&limit, 15000);
    assert_int_equal(lines, 1);
    assert_string_equal(event, "peer-refused");
    assert_int_equal(suppressed, 1);
    log_limit_tick(&limit, 99000);
    assert_int_equal(lines, 1);
    assert_true(log_limit_next_ms(&limit) == INT64_MAX);
}

static void test_next_line_ends_the_period_too(void **state)
{
    (void)state;
    struct log_limit limit = {.event = EVENT_PEER_REFUSED};
    assert_int_equal(passed(&limit, 5000, 0), 10);
    assert_int_equal(passed(&limit, 11, 10000), 10);
    assert_int_equal(lines, 1);
    assert_int_equal(suppressed, 4990);
    log_limit_tick(&limit, 20000);
    assert_int_equal(suppressed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_passes_ten_and_says_nothing_of_none, reset),
        cmocka_unit_test_setup(test_eleventh_is_counted_and_said_at_the_end_of_the_period, reset),
        cmocka_unit_test_setup(test_next_line_ends_the_period_too, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
