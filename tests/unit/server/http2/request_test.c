#include "server/http2/request.h"

#include "tests/kit/unit.h"

static struct h2_request complete(void)
{
    struct h2_request request = {0};
    h2_request_header(&request, span_of_text(":method"), span_of_text("POST"));
    h2_request_header(&request, span_of_text(":scheme"), span_of_text("http"));
    h2_request_header(&request, span_of_text(":path"), span_of_text("/"));
    return request;
}

static bool accepts(struct span name, struct span value)
{
    struct h2_request request = complete();
    h2_request_header(&request, name, value);
    h2_request_headers_end(&request, false);
    return !request.malformed;
}

static void test_header_any_authority_is_fine(void **state)
{
    (void)state;
    static const char *const values[] = {"localhost", "/run/k.sock", "@k",
                                         "",          "%2Frun",      "a b\xc3\xa9"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_true(accepts(span_of_text(":authority"), span_of_text(values[i])));
    }
    assert_false(accepts(span_of_text(":authority"), span_of("a\0b", 3)));
}

static void test_header_names_are_lower_case_tokens(void **state)
{
    (void)state;
    static const char *const good[] = {"x", "x-1", "grpc-tags-bin", "a!#$%&'*+-.^_`|~9"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(accepts(span_of_text(good[i]), span_of_text("v")));
    }
    for (int byte = 0; byte < 256; byte++) {
        uint8_t name[] = {'x', (uint8_t)byte};
        bool upper_or_strange = byte <= ' ' || byte >= 0x7f || (byte >= 'A' && byte <= 'Z') ||
                                byte == ':' || byte == '(' || byte == '"' || byte == '/';
        if (upper_or_strange) {
            assert_false(accepts(span_of(name, 2), span_of_text("v")));
        }
    }
    assert_false(accepts(span_of_text(""), span_of_text("v")));
}

static void test_headers_end_needs_method_scheme_and_path(void **state)
{
    (void)state;
    static const char *const names[] = {":method", ":scheme", ":path"};
    for (size_t without = 0; without < 3; without++) {
        struct h2_request request = {0};
        for (size_t i = 0; i < 3; i++) {
            if (i != without) {
                h2_request_header(&request, span_of_text(names[i]), span_of_text("x"));
            }
        }
        h2_request_headers_end(&request, true);
        assert_true(request.malformed);
    }
}

static void test_data_must_match_content_length(void **state)
{
    (void)state;
    for (size_t len = 4; len <= 6; len++) {
        struct h2_request request = complete();
        h2_request_header(&request, span_of_text("content-length"), span_of_text("5"));
        h2_request_headers_end(&request, false);
        h2_request_data(&request, 2);
        h2_request_data(&request, len - 2);
        assert_int_equal(request.malformed, len > 5);
        h2_request_end(&request);
        assert_int_equal(request.malformed, len != 5);
    }
}

static void test_content_length_comes_once_in_digits(void **state)
{
    (void)state;
    struct h2_request request = complete();
    h2_request_header(&request, span_of_text("content-length"), span_of_text("5"));
    assert_false(request.malformed);
    h2_request_header(&request, span_of_text("content-length"), span_of_text("5"));
    assert_true(request.malformed);
    assert_false(accepts(span_of_text("content-length"), span_of_text("-5")));
    assert_false(accepts(span_of_text("content-length"), span_of_text("1234567890123456789")));
    assert_true(accepts(span_of_text("content-length"), span_of_text("123456789012345678")));
}

static void test_list_size_counts_name_value_and_32(void **state)
{
    (void)state;
    struct h2_request request = complete();
    assert_int_equal(request.list_size, 7 + 4 + 7 + 4 + 5 + 1 + 3 * 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_any_authority_is_fine),
        cmocka_unit_test(test_header_names_are_lower_case_tokens),
        cmocka_unit_test(test_headers_end_needs_method_scheme_and_path),
        cmocka_unit_test(test_data_must_match_content_length),
        cmocka_unit_test(test_content_length_comes_once_in_digits),
        cmocka_unit_test(test_list_size_counts_name_value_and_32),
    };
    return cmocka_run_group_tests_name("http2/request", tests, NULL, NULL);
}
