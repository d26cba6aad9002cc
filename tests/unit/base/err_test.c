#include "base/err.h"

#include <string.h>

#include "tests/kit/unit.h"

static err_t fails_late(bool fail, int *steps)
{
    TRY(OK);
    (*steps)++;
    TRY(fail ? FAIL(E_LIMIT, "full") : OK);
    (*steps)++;
    return OK;
}

static void test_try_leaves_at_the_first_error(void **state)
{
    (void)state;
    int steps = 0;
    err_t err = fails_late(true, &steps);
    assert_int_equal(err.code, E_LIMIT);
    assert_string_equal(err.what, "full");
    assert_non_null(strstr(err.where, "err_test.c:"));
    assert_int_equal(err.detail, 0);
    assert_int_equal(steps, 1);
    assert_ok(fails_late(false, &steps));
    assert_int_equal(steps, 3);
}

static void test_fail_errno_carries_errno(void **state)
{
    (void)state;
    errno = EPIPE;
    err_t err = FAIL_ERRNO("gone");
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, EPIPE);
    assert_int_equal(FAIL_DETAIL(E_TOKEN, 0xa0, "refused").detail, 0xa0);
}

static void test_code_name_is_a_word_of_its_own_for_every_class(void **state)
{
    (void)state;
    for (unsigned i = E_NONE; i <= E_BUG; i++) {
        assert_string_not_equal(err_code_name((enum err_code)i), "unknown");
        for (unsigned k = E_NONE; k < i; k++) {
            assert_string_not_equal(err_code_name((enum err_code)i),
                                    err_code_name((enum err_code)k));
        }
    }
}

static void test_code_name_past_the_last_class_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(err_code_name((enum err_code)(E_BUG + 1)), "unknown");
    assert_string_equal(err_code_name(E_UNAVAILABLE), "unavailable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_try_leaves_at_the_first_error),
        cmocka_unit_test(test_fail_errno_carries_errno),
        cmocka_unit_test(test_code_name_is_a_word_of_its_own_for_every_class),
        cmocka_unit_test(test_code_name_past_the_last_class_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
