#include "server/kms/suite.h"

#include "tests/kit/unit.h"

static const struct config config = {.mode = CONFIG_MODE_SEED};

static void test_find_gives_the_row_of_the_number(void **state)
{
    (void)state;
    const struct suite *suite = NULL;
    assert_ok(suite_find(&config, ENVELOPE_SEED, &suite));
    assert_ptr_equal(suite, &suite_seed);
}

static void test_find_of_any_other_number_is_refused(void **state)
{
    (void)state;
    const struct suite *suite = NULL;
    for (unsigned number = 0; number < 256; number++) {
        if (number != ENVELOPE_SEED) {
            assert_fails(suite_find(&config, (uint8_t)number, &suite), E_INVALID);
        }
    }
    assert_null(suite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_gives_the_row_of_the_number),
        cmocka_unit_test(test_find_of_any_other_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
