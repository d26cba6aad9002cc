#include "server/grpc/status.h"

#include <string.h>

#include "tests/kit/unit.h"

static void test_status_of_each_class(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        const char *digits;
    } rows[] = {
        {E_NONE, "0"},         {E_INVALID, "3"},   {E_CRYPTO, "3"},  {E_DEADLINE, "4"},
        {E_NOT_FOUND, "5"},    {E_DENIED, "7"},    {E_LIMIT, "8"},   {E_STATE, "9"},
        {E_UNSUPPORTED, "12"}, {E_PROTOCOL, "13"}, {E_SYSTEM, "13"}, {E_BUG, "13"},
        {E_UNAVAILABLE, "14"}, {E_TOKEN, "14"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(grpc_status_digits(grpc_status_of(rows[i].code)), rows[i].digits);
    }
}

static void assert_encoded(struct span text, size_t room, const char *want)
{
    uint8_t buf[64] = {0};
    struct writer w = writer_of(span_mut_of(buf, room));
    grpc_status_encode(text, &w);
    assert_false(w.bad);
    assert_int_equal(w.len, strlen(want));
    assert_memory_equal(buf, want, w.len);
}

static void test_encode_escapes_what_is_not_printable_ascii(void **state)
{
    (void)state;
    assert_encoded(span_of_text("plain ~text"), 64, "plain ~text");
    assert_encoded(span_of_text("50%\n\x7f\xc3\xa9"), 64, "50%25%0A%7F%C3%A9");
    assert_encoded(span_of("\0", 1), 64, "%00");
    assert_encoded(span_of(NULL, 0), 64, "");
}

static void test_encode_cuts_before_an_escape_that_does_not_fit(void **state)
{
    (void)state;
    assert_encoded(span_of_text("ab%c"), 5, "ab%25");
    assert_encoded(span_of_text("ab%c"), 4, "ab");
    assert_encoded(span_of_text("abc"), 2, "ab");
    assert_encoded(span_of_text("abc"), 0, "");
    assert_encoded(span_of_text("a\xe2\x82\xac"), 10, "a%E2%82%AC");
    assert_encoded(span_of_text("a\xe2\x82\xac"), 9, "a"); /* no half character */
    assert_encoded(span_of_text("a\xe2z"), 5, "a%E2z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_of_each_class),
        cmocka_unit_test(test_encode_escapes_what_is_not_printable_ascii),
        cmocka_unit_test(test_encode_cuts_before_an_escape_that_does_not_fit),
    };
    return cmocka_run_group_tests_name("grpc/status", tests, NULL, NULL);
}
