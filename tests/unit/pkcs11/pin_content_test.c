#include "pkcs11/pin_content.h"

#include <string.h>

#include "tests/kit/unit.h"

static void refused_for(struct span pin, const char *what)
{
    err_t err = pin_content_check(pin);
    assert_int_equal(err.code, E_INVALID);
    if (strstr(err.what, what) == NULL) {
        fail_msg("\"%s\" does not name: %s", err.what, what);
    }
}

static void test_content_that_a_pin_may_have(void **state)
{
    (void)state;
    static const char *const good[] = {
        "1234", "a", "crypto user:pass word", "\xc3\xa4\xe2\x82\xac", "\xa0", "~!#"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_ok(pin_content_check(span_of_text(good[i])));
    }
}

static void test_content_that_came_along_unseen_is_named(void **state)
{
    (void)state;
    refused_for(span_of_text("1234\r"), "carriage return");
    refused_for(span_of_text("1234\r\n"), "carriage return");
    refused_for(span_of_text("1234\n"), "more than one line");
    refused_for(span_of_text("12\n34"), "more than one line");
    refused_for(span_of_text("\n1234"), "more than one line");
    refused_for(span_of_text("12\t34"), "control character");
    refused_for(span_of_text("1234\x7f"), "control character");
    refused_for(span_of("12\0", 3), "control character");
    refused_for(span_of_text("\xef\xbb\xbf" "1234"), "byte order mark");
    refused_for(span_of("\xff\xfe" "1\0" "2\0", 6), "byte order mark");
    refused_for(span_of("\xfe\xff\0" "1", 4), "byte order mark");
    refused_for(span_of_text(" 1234"), "starts with a blank");
    refused_for(span_of_text("1234 "), "ends with a blank");
    refused_for(span_of_text("\xc2\xa0" "1234"), "starts with a blank");
    refused_for(span_of_text("1234\xc2\xa0"), "ends with a blank");
    refused_for(span_of_text(" "), "blank");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_that_a_pin_may_have),
        cmocka_unit_test(test_content_that_came_along_unseen_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
