#include "server/kms/derived.h"

#include <stdio.h>

#include "tests/kit/unit.h"

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front));
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(secret_in_use(SECRET_DERIVED), 0);
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
    assert_true(secret_free_space_is_zero());
    secret_done();
    return 0;
}

static void add_derived(struct derived *derived, const char *before_iv, uint8_t value)
{
    struct secret *keys = NULL;
    uint8_t bytes[64] = {value};
    assert_ok(secret_new(SECRET_2KIB, sizeof(bytes), &keys));
    assert_ok(secret_append(keys, span_of(bytes, sizeof(bytes))));
    derived_add(derived, span_of_text(before_iv), keys);
}

static void test_derived_keeps_up_to_max(void **state)
{
    (void)state;
    CLEANUP(derived_free_p) struct derived *derived = NULL;
    assert_ok(derived_new(2, &derived));
    add_derived(derived, "a", 1);
    add_derived(derived, "b", 2);
    assert_int_equal(derived_find(derived, span_of_text("a")).ptr[0], 1);
    add_derived(derived, "c", 3);
    assert_int_equal(derived_find(derived, span_of_text("b")).len, 0);
    assert_int_equal(derived_find(derived, span_of_text("a")).len, 64);
    assert_int_equal(secret_in_use(SECRET_DERIVED), 2);
}

static void test_derived_off_keeps_nothing(void **state)
{
    (void)state;
    CLEANUP(derived_free_p) struct derived *derived = NULL;
    assert_ok(derived_new(0, &derived));
    add_derived(derived, "a", 1);
    assert_int_equal(derived_find(derived, span_of_text("a")).len, 0);
    assert_int_equal(derived_count(derived), 0);
}

static void test_derived_more_than_the_arena_holds_goes_on(void **state)
{
    (void)state;
    CLEANUP(derived_free_p) struct derived *derived = NULL;
    assert_ok(derived_new(5000, &derived));
    for (unsigned i = 0; i < 1100; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%u", i);
        add_derived(derived, text, 1);
    }
    assert_int_equal(derived_count(derived), 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_derived_keeps_up_to_max, setup, teardown),
        cmocka_unit_test_setup_teardown(test_derived_off_keeps_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_derived_more_than_the_arena_holds_goes_on, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
