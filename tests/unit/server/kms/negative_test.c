#include "server/kms/negative.h"

#include <string.h>

#include "tests/kit/unit.h"

static void test_negative_holds_for_one_minute(void **state)
{
    (void)state;
    CLEANUP(negative_free_p) struct negative *negative = NULL;
    const uint8_t one[32] = {1};
    const uint8_t two[32] = {2};
    assert_ok(negative_new(&negative));
    negative_add(negative, one, 1000);
    assert_true(negative_has(negative, one, 1000 + NEGATIVE_MS - 1));
    assert_false(negative_has(negative, one, 1000 + NEGATIVE_MS));
    assert_false(negative_has(negative, two, 1000));
}

static void test_negative_past_the_limit_forgets_the_oldest(void **state)
{
    (void)state;
    CLEANUP(negative_free_p) struct negative *negative = NULL;
    uint8_t key[32] = {0};
    assert_ok(negative_new(&negative));
    for (unsigned i = 0; i <= NEGATIVE_MAX; i++) {
        key[0] = (uint8_t)i;
        key[1] = (uint8_t)(i >> 8);
        negative_add(negative, key, 0);
    }
    assert_true(negative_has(negative, key, 1));
    memset(key, 0, sizeof(key));
    assert_false(negative_has(negative, key, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_negative_holds_for_one_minute),
        cmocka_unit_test(test_negative_past_the_limit_forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
