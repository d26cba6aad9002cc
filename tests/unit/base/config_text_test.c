/* Files as other systems' editors and shells leave them: accepted, or named for what they are. */
#include "base/config_text.h"

#include <string.h>

#include "base/config.h"
#include "tests/unit/base/config_sample.h"

static void test_parse_marks_of_other_systems_are_accepted(void **state)
{
    (void)state;
    struct config plain = parsed(ALL);
    struct config marked = parsed("\xef\xbb\xbf" ALL);
    assert_memory_equal(&plain, &marked, sizeof(plain));
    marked = parsed("\xef\xbb\xbfversion: 1\r\nring:\tprod-eu \t\r\ntokens:\r\n"
                    "  - module: /lib/m.so\r\n"
                    "    token: \"pkcs11:token=t\"\r\n"
                    "    pin_file: /etc/pin");
    assert_memory_equal(&plain, &marked, sizeof(plain));
}

static void check_bytes(const char *text, size_t len, const char *message)
{
    struct config config;
    struct config_problem problem;
    assert_fails(config_parse("c.yaml", text, len, &config, &problem), E_INVALID);
    if (strncmp(problem.text, message, strlen(message)) != 0) {
        fail_msg("expected: %s, got: %s", message, problem.text);
    }
}

static void test_parse_utf16_and_nul_are_named(void **state)
{
    (void)state;
    static const char utf16[] =
        "c.yaml:1: the file is UTF-16; accepted: UTF-8, as `iconv -f UTF-16 -t UTF-8` makes it";
    check_bytes("\xff\xfev\0e\0r\0", 8, utf16);
    check_bytes("\xfe\xff\0v\0e\0r", 8, utf16);
    check_bytes("v\0e\0r\0", 6, utf16);
    check_bytes("\0v\0e\0r", 6, utf16);
    check_bytes("a: b\nc: \0d\n", 10,
                "c.yaml:2: not text: control character 0 (NUL); accepted: UTF-8 text");
    check_bytes("\0\0\0", 3, "c.yaml:1: not text: control character 0 (NUL); accepted: UTF-8 text");
}

static void test_parse_lines_that_are_no_text_or_not_indented_by_blanks_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message; /* begins with it */
    } mistakes[] = {
        {"a: b\n\tc: d\n", "c.yaml:2: not YAML: a tab indents this line; accepted: blanks"},
        {"a:\r\n  b: c\r\n \td: e\r\n", "c.yaml:3: not YAML: a tab indents this line"},
        {ALL "state_dir: \"\xff\"\n", "c.yaml:7: not UTF-8: invalid leading UTF-8 octet"},
        {ALL "state_dir: \"\xc3\n", "c.yaml:7: not UTF-8: "},
        {ALL "state_dir: \"/\x1b\"\n",
         "c.yaml:7: not text: control character 27; accepted: UTF-8 text"},
        {ALL "# \x7f\n", "c.yaml:7: not text: control character 127"},
        {"\xef\xbb\xbf", "c.yaml:1: the file is empty"},
        {"\xef\xbb\xbf" ALL "\tx", "c.yaml:7: not YAML: a tab indents this line"},
        {ALL "state_dir: \"/a\\x01\"\n", "c.yaml:7: control characters are not accepted"},
        {ALL "state_dir: \"/a\\0b\"\n", "c.yaml:7: control characters are not accepted"},
    };
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        check_bytes(mistakes[i].text, strlen(mistakes[i].text), mistakes[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_marks_of_other_systems_are_accepted),
        cmocka_unit_test(test_parse_utf16_and_nul_are_named),
        cmocka_unit_test(test_parse_lines_that_are_no_text_or_not_indented_by_blanks_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
