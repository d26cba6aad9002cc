#include "ctl/time_text.h"

#include "tests/kit/unit.h"

static void test_parse_unix_seconds(void **state)
{
    (void)state;
    int64_t s = -1;
    assert_ok(time_text_parse("0", &s));
    assert_int_equal(s, 0);
    assert_ok(time_text_parse("4294967295", &s));
    assert_int_equal(s, 4294967295);
    assert_fails(time_text_parse("4294967296", &s), E_INVALID);
    assert_fails(time_text_parse("99999999999", &s), E_INVALID);
    assert_int_equal(s, 4294967295);
}

static void test_parse_rfc3339_in_utc(void **state)
{
    (void)state;
    static const char *const same[] = {"2023-11-14T22:13:20Z", "2023-11-14t22:13:20z",
                                       "2023-11-14 22:13:20Z", "2023-11-14T22:13:20+00:00"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        int64_t s = 0;
        assert_ok(time_text_parse(same[i], &s));
        assert_int_equal(s, 1700000000);
    }
}

static void test_parse_leap_day_only_in_leap_years(void **state)
{
    (void)state;
    int64_t s = 0;
    assert_ok(time_text_parse("2028-02-29T00:00:00Z", &s));
    assert_fails(time_text_parse("2027-02-29T00:00:00Z", &s), E_INVALID);
}

static void test_parse_whatever_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"",
                                         "tomorrow",
                                         "-1",
                                         "+5",
                                         " 5",
                                         "5 ",
                                         "0x5",
                                         "2023-11-14",
                                         "2023-11-14T22:13:20",
                                         "2023-11-14T22:13:20+01:00",
                                         "2023-11-14T22:13:20ZZ",
                                         "2023-13-14T22:13:20Z",
                                         "2023-11-31T22:13:20Z",
                                         "2023-11-14T24:00:00Z",
                                         "2023-11-14T22:60:20Z",
                                         "2023-11-14T22:13:60Z",
                                         "1969-12-31T23:59:59Z",
                                         "2106-02-07T06:28:16Z",
                                         "20231114T221320Z",
                                         "2023-00-14T22:13:20Z",
                                         "2023-11-00T22:13:20Z"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        int64_t s = 77;
        assert_fails(time_text_parse(broken[i], &s), E_INVALID);
        assert_int_equal(s, 77);
    }
}

static void test_write_is_the_inverse_of_parse(void **state)
{
    (void)state;
    char text[TIME_TEXT_LEN];
    time_text_write(1700000000, text);
    assert_string_equal(text, "2023-11-14T22:13:20Z");
    time_text_write(0, text);
    assert_string_equal(text, "-");
    time_text_write(INT64_MAX, text);
    assert_string_equal(text, "-");
}

static void test_age_is_the_largest_whole_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t s;
        const char *text;
    } rows[] = {{0, "0s"},      {59, "59s"},   {60, "1m"},        {3599, "59m"}, {3600, "1h"},
                {86399, "23h"}, {86400, "1d"}, {8640000, "100d"}, {-300, "-5m"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[TIME_TEXT_LEN];
        time_text_age(rows[i].s, text);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_unix_seconds),
        cmocka_unit_test(test_parse_rfc3339_in_utc),
        cmocka_unit_test(test_parse_leap_day_only_in_leap_years),
        cmocka_unit_test(test_parse_whatever_is_no_time_is_refused),
        cmocka_unit_test(test_write_is_the_inverse_of_parse),
        cmocka_unit_test(test_age_is_the_largest_whole_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
