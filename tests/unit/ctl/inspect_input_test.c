#include "ctl/inspect_input.h"

#include <string.h>

#include "base/own.h"
#include "tests/kit/unit.h"

static char text[256];
static struct span bytes;

static err_t decode(const char *from, enum inspect_encoding encoding)
{
    (void)snprintf(text, sizeof(text), "%s", from);
    return inspect_decode(span_mut_of(text, strlen(text)), encoding, &bytes);
}

static bool is(const char *expected)
{
    return span_equal(bytes, span_of_text(expected));
}

static void test_decode_hex_with_spaces_and_any_case(void **state)
{
    (void)state;
    assert_ok(decode("50 31\n31 4B", INSPECT_HEX));
    assert_true(is("P11K"));
    assert_ok(decode("5031314b\n", INSPECT_AUTO));
    assert_true(is("P11K"));
    assert_fails(decode("5031314", INSPECT_HEX), E_INVALID);
    assert_fails(decode("5031310", INSPECT_HEX), E_INVALID);
    assert_fails(decode("50g1", INSPECT_HEX), E_INVALID);
    assert_fails(decode("", INSPECT_HEX), E_INVALID);
}

static void test_decode_base64_both_alphabets_with_and_without_padding(void **state)
{
    (void)state;
    assert_ok(decode("UDExSw==", INSPECT_AUTO));
    assert_true(is("P11K"));
    assert_ok(decode("UDExSw\n", INSPECT_BASE64));
    assert_true(is("P11K"));
    assert_ok(decode("-_-_", INSPECT_BASE64));
    assert_int_equal(bytes.len, 3);
    assert_true(span_equal(bytes, span_of("\xfb\xff\xbf", 3)));
    assert_fails(decode("UDExS", INSPECT_BASE64), E_INVALID);
    assert_fails(decode("UDExA", INSPECT_BASE64), E_INVALID);
    assert_fails(decode("UDEx=UDEx", INSPECT_BASE64), E_INVALID);
    assert_fails(decode("UDExSx==", INSPECT_BASE64), E_INVALID); /* bits that belong to nothing */
    assert_fails(decode("UD==xSw", INSPECT_BASE64), E_INVALID);
    assert_fails(decode("====", INSPECT_BASE64), E_INVALID);
    assert_fails(decode("U*==", INSPECT_AUTO), E_INVALID);
}

static void test_decode_auto_takes_raw_envelopes_and_etcd_values(void **state)
{
    (void)state;
    assert_ok(decode("P11Kxyz", INSPECT_AUTO));
    assert_true(is("P11Kxyz"));
    assert_ok(decode("/registry/secrets/default/a\nk8s:enc:kms:v2:p:xyz", INSPECT_AUTO));
    assert_true(is("k8s:enc:kms:v2:p:xyz"));
    assert_ok(decode("k8s:enc:aescbc:v1:key1:xyz", INSPECT_AUTO));
    assert_true(is("k8s:enc:aescbc:v1:key1:xyz"));
    assert_ok(decode("key\n{}", INSPECT_AUTO));
    assert_true(is("{}"));
    char plain[] = "/registry/a\nk8s\0x";
    assert_ok(inspect_decode(span_mut_of(plain, sizeof(plain) - 1), INSPECT_AUTO, &bytes));
    assert_true(span_equal(bytes, span_of("k8s\0x", 5)));
    assert_fails(decode("/a\nk8s:enc:kms:v2:p:xyz\n/b\nk8s:enc:kms:v2:p:xyz", INSPECT_AUTO),
                 E_INVALID);
    assert_ok(decode("anything", INSPECT_RAW));
    assert_true(is("anything"));
}

static void test_read_takes_a_file_or_the_text_itself(void **state)
{
    (void)state;
    CLEANUP(inspect_input_done) struct inspect_input input = {0};
    assert_ok(inspect_input_read("5031314b", INSPECT_AUTO, &input));
    assert_true(span_equal(input.bytes, span_of_text("P11K")));
    inspect_input_done(&input);
    char path[] = "/tmp/p11-kms-inspect-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "UDExSw==", 8), 8);
    (void)close(fd);
    assert_ok(inspect_input_read(path, INSPECT_AUTO, &input));
    assert_true(span_equal(input.bytes, span_of_text("P11K")));
    (void)unlink(path);
}

static void test_read_path_that_is_not_there_is_never_a_value(void **state)
{
    (void)state;
    static const char *const paths[] = {"/tmp/nowhere/value", "nowhere", "deadbeef", "x/y", ""};
    struct inspect_input input = {0};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        for (int encoding = INSPECT_AUTO; encoding <= INSPECT_RAW; encoding++) {
            err_t err = inspect_input_read(paths[i], (enum inspect_encoding)encoding, &input);
            assert_int_equal(err.code, E_SYSTEM);
            assert_int_equal(err.detail, ENOENT);
        }
    }
    assert_ok(inspect_input_read("azhzOmVuYzphZXNjYmM6djE6azE6eA==", INSPECT_AUTO, &input));
    assert_true(span_equal(input.bytes, span_of_text("k8s:enc:aescbc:v1:k1:x")));
    inspect_input_done(&input);
}

static void test_read_file_at_limit_passes_and_above_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/p11-kms-inspect-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    CLEANUP(inspect_input_done) struct inspect_input input = {0};
    assert_int_equal(ftruncate(fd, INSPECT_MAX), 0);
    assert_ok(inspect_input_read(path, INSPECT_RAW, &input));
    inspect_input_done(&input);
    assert_int_equal(ftruncate(fd, INSPECT_MAX + 1), 0);
    assert_fails(inspect_input_read(path, INSPECT_RAW, &input), E_LIMIT);
    (void)close(fd);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_hex_with_spaces_and_any_case),
        cmocka_unit_test(test_decode_base64_both_alphabets_with_and_without_padding),
        cmocka_unit_test(test_decode_auto_takes_raw_envelopes_and_etcd_values),
        cmocka_unit_test(test_read_takes_a_file_or_the_text_itself),
        cmocka_unit_test(test_read_path_that_is_not_there_is_never_a_value),
        cmocka_unit_test(test_read_file_at_limit_passes_and_above_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
