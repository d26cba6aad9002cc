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
    assert_memory_equal(&config, &defaults, sizeof(config));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_sample_is_accepted_and_says_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
