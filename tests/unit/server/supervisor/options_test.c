#include "server/supervisor/options.h"

#include "base/config.h"
#include "tests/kit/unit.h"

static void test_options_parse_nothing_runs_with_the_default_path(void **state)
{
    (void)state;
    char *argv[] = {(char[]){"p11-kmsd"}, NULL};
    struct options options;
    assert_ok(options_parse(1, argv, &options));
    assert_int_equal(options.mode, OPTIONS_RUN);
    assert_string_equal(options.config_path, CONFIG_DEFAULT_PATH);
}

static void test_options_parse_both_forms_of_config(void **state)
{
    (void)state;
    struct options options;
    char *apart[] = {(char[]){"p11-kmsd"}, (char[]){"--config"}, (char[]){"/a"},
                     (char[]){"--check-config"}, NULL};
    assert_ok(options_parse(4, apart, &options));
    assert_int_equal(options.mode, OPTIONS_CHECK);
    assert_string_equal(options.config_path, "/a");
    char *joined[] = {(char[]){"p11-kmsd"}, (char[]){"--config=/b"}, NULL};
    assert_ok(options_parse(2, joined, &options));
    assert_string_equal(options.config_path, "/b");
}

static void test_options_parse_unknown_missing_and_operand_are_refused(void **state)
{
    (void)state;
    struct options options = {.mode = OPTIONS_HELP};
    char *unknown[] = {(char[]){"p11-kmsd"}, (char[]){"--pin=1234"}, NULL};
    char *missing[] = {(char[]){"p11-kmsd"}, (char[]){"--config"}, NULL};
    char *operand[] = {(char[]){"p11-kmsd"}, (char[]){"start"}, NULL};
    assert_fails(options_parse(2, unknown, &options), E_INVALID);
    assert_fails(options_parse(2, missing, &options), E_INVALID);
    assert_fails(options_parse(2, operand, &options), E_INVALID);
    assert_int_equal(options.mode, OPTIONS_HELP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_parse_nothing_runs_with_the_default_path),
        cmocka_unit_test(test_options_parse_both_forms_of_config),
        cmocka_unit_test(test_options_parse_unknown_missing_and_operand_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
