/* The sample config that is installed passes the parser as it is. */
#include <string.h>

#include "base/config.h"
#include "tests/kit/unit.h"

static void test_load_sample_is_accepted_and_says_the_defaults(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    err_t err = config_load(SAMPLE, &config, &problem);
    if (failed(err)) {
        fail_msg("%s", problem.text);
    }
    static const char bare[] = "version: 1\nring: prod\ntokens: [{module: /usr/lib/softhsm/"
                               "libsofthsm2.so, token: \"pkcs11:token=p11-kms\", "
                               "pin_credential: pin}]\n";
    struct config defaults;
    assert_ok(config_parse(SAMPLE, bare, strlen(bare), &defaults, &problem));
    char path[CONFIG_SETTING_LEN] = "";
    (void)config_fixed_difference(&defaults, &config, path);
    assert_string_equal(path, "");
    assert_int_equal(config.seed_life_s, defaults.seed_life_s);
    assert_int_equal(config.derived_keys, defaults.derived_keys);
    assert_int_equal(config.coast_s, defaults.coast_s);
    assert_int_equal(config.soft_max_s, defaults.soft_max_s);
    assert_int_equal(config.log_level, defaults.log_level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_sample_is_accepted_and_says_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
