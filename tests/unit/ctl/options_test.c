#include "ctl/options.h"

#include <string.h>

#include "tests/kit/unit.h"

static struct options options;
static int rest_n;
static const char *bad;

#define GLOBAL(...)                                                                                \
    __extension__({                                                                                \
        static char *argv_[] = {"p11-kmsctl", __VA_ARGS__, NULL};                                  \
        argv = argv_;                                                                              \
        options_global((int)(sizeof(argv_) / sizeof(argv_[0])) - 1, argv_, &options, &rest_n,      \
                       &bad);                                                                      \
    })

static char **argv;

static void test_global_defaults_when_nothing_is_given(void **state)
{
    (void)state;
    assert_ok(GLOBAL("keys"));
    assert_string_equal(options.command, "keys");
    assert_string_equal(options.config_path, CONFIG_DEFAULT_PATH);
    assert_string_equal(options.output, "table");
    assert_int_equal(rest_n, 0);
    assert_false(options.help || options.version);
}

static void test_global_options_stand_before_and_after_the_command(void **state)
{
    (void)state;
    assert_ok(GLOBAL("--config", "/a", "rotate", "--now", "--output=json"));
    assert_string_equal(options.command, "rotate");
    assert_string_equal(options.config_path, "/a");
    assert_string_equal(options.output, "json");
    assert_int_equal(rest_n, 1);
    assert_string_equal(argv[0], "--now");
}

static void test_global_after_two_dashes_nothing_is_an_option(void **state)
{
    (void)state;
    assert_ok(GLOBAL("inspect", "--", "--help"));
    assert_false(options.help);
    assert_int_equal(rest_n, 2);
}

static void test_global_missing_or_needless_value_is_refused(void **state)
{
    (void)state;
    assert_fails(GLOBAL("keys", "--config"), E_INVALID);
    assert_string_equal(bad, "--config");
    assert_fails(GLOBAL("keys", "--help=yes"), E_INVALID);
}

static void test_global_no_abbreviations(void **state)
{
    (void)state;
    assert_ok(GLOBAL("keys", "--conf", "x"));
    assert_string_equal(options.config_path, CONFIG_DEFAULT_PATH);
    assert_int_equal(rest_n, 2);
}

static bool now;
static const char *at;

static bool command(int n, char **args, const char **ret_operand)
{
    static FILE *null;
    const struct option_flag flags[] = {{"--now", &now, NULL}, {"--at", NULL, &at}};
    null = null == NULL ? fopen("/dev/null", "w") : null;
    struct ctl ctl = {.err = null, .args = args, .args_n = n};
    now = false;
    at = NULL;
    return options_command(&ctl, flags, 2, ret_operand);
}

static void test_command_takes_its_flags_and_one_operand(void **state)
{
    (void)state;
    const char *operand = NULL;
    assert_true(command(3, (char *[]){"--now", "--at=5", "file"}, &operand));
    assert_true(now);
    assert_string_equal(at, "5");
    assert_string_equal(operand, "file");
    assert_true(command(2, (char *[]){"--", "--now"}, &operand));
    assert_false(now);
    assert_string_equal(operand, "--now");
    assert_true(command(1, (char *[]){"-"}, &operand));
    assert_string_equal(operand, "-");
}

static void test_command_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    const char *operand = NULL;
    assert_false(command(1, (char *[]){"--no"}, &operand));
    assert_false(command(1, (char *[]){"--at"}, &operand));
    assert_false(command(1, (char *[]){"--now=1"}, &operand));
    assert_false(command(2, (char *[]){"a", "b"}, &operand));
    assert_false(command(1, (char *[]){"a"}, NULL));
}

static void test_output_knows_two_forms(void **state)
{
    (void)state;
    enum ctl_output output = CTL_TABLE;
    assert_true(options_output("json", &output));
    assert_int_equal(output, CTL_JSON);
    assert_true(options_output("table", &output));
    assert_int_equal(output, CTL_TABLE);
    assert_false(options_output("yaml", &output));
}

static void test_find_every_documented_command(void **state)
{
    (void)state;
    static const char *const names[] = {"init", "rotate", "keys", "status", "pin-retry", "inspect"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(ctl_find(names[i]));
    }
    assert_null(ctl_find("destroy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_global_defaults_when_nothing_is_given),
        cmocka_unit_test(test_global_options_stand_before_and_after_the_command),
        cmocka_unit_test(test_global_after_two_dashes_nothing_is_an_option),
        cmocka_unit_test(test_global_missing_or_needless_value_is_refused),
        cmocka_unit_test(test_global_no_abbreviations),
        cmocka_unit_test(test_command_takes_its_flags_and_one_operand),
        cmocka_unit_test(test_command_refuses_what_it_does_not_know),
        cmocka_unit_test(test_output_knows_two_forms),
        cmocka_unit_test(test_find_every_documented_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
