#include "server/grpc/timeout.h"

#include "tests/kit/unit.h"

static void assert_ms(const char *text, int64_t want)
{
    int64_t ms = -1;
    assert_ok(grpc_timeout_parse(span_of_text(text), &ms));
    assert_true(ms == want);
}

static void test_parse_each_unit_rounds_up(void **state)
{
    (void)state;
    assert_ms("2999210u", 3000);
    assert_ms("99999999n", 100);
    assert_ms("1n", 1);
    assert_ms("1000000n", 1);
    assert_ms("1000001n", 2);
    assert_ms("3S", 3000);
    assert_ms("1M", 60000);
    assert_ms("1H", 3600000);
    assert_ms("100000m", 100000);
    assert_ms("0m", 0);
    assert_ms("99999999H", INT64_C(99999999) * 3600000);
}

static void test_parse_malformed_leaves_the_result_alone(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   "S",   "3",   "100000000m", "-1S", "+1S",     "1s",
                                      "1h", "1 S", " 1S", "1.5S",       "1SS", "12345678"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ms = -7;
        assert_fails(grpc_timeout_parse(span_of_text(bad[i]), &ms), E_PROTOCOL);
        assert_true(ms == -7);
    }
    int64_t ms = -7;
    assert_fails(grpc_timeout_parse(span_of("1\0S", 3), &ms), E_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_each_unit_rounds_up),
        cmocka_unit_test(test_parse_malformed_leaves_the_result_alone),
    };
    return cmocka_run_group_tests_name("grpc/timeout", tests, NULL, NULL);
}
