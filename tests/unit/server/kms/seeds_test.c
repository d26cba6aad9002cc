#include "server/kms/seeds.h"

#include <string.h>

#include "tests/kit/unit.h"

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front));
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(secret_in_use(SECRET_SEED), 0);
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
    assert_true(secret_free_space_is_zero());
    secret_done();
    return 0;
}

static struct seed_name name_of(uint8_t n)
{
    struct seed_name name = {.wrapped_len = 61};
    name.key[0] = n;
    return name;
}

static void test_seeds_add_past_the_limit_wipes_the_oldest(void **state)
{
    (void)state;
    CLEANUP(seeds_free_p) struct seeds *seeds = NULL;
    const struct seed *seed = NULL;
    uint8_t bytes[SEED_LEN] = {7};
    assert_ok(seeds_new(2, &seeds));
    for (uint8_t n = 1; n <= 3; n++) {
        struct seed_name name = name_of(n);
        assert_ok(seeds_add(seeds, &name, span_of(bytes, sizeof(bytes)), &seed));
    }
    assert_int_equal(secret_in_use(SECRET_SEED), 2);
    assert_null(seeds_find(seeds, name_of(1).key));
    assert_non_null(seeds_find(seeds, name_of(3).key));
}

static void test_seeds_add_of_a_wrong_length_is_refused(void **state)
{
    (void)state;
    CLEANUP(seeds_free_p) struct seeds *seeds = NULL;
    const struct seed *seed = NULL;
    uint8_t bytes[SEED_LEN + 1] = {7};
    struct seed_name name = name_of(1);
    assert_ok(seeds_new(2, &seeds));
    assert_fails(seeds_add(seeds, &name, span_of(bytes, SEED_LEN + 1), &seed), E_CRYPTO);
    assert_fails(seeds_add(seeds, &name, span_of(bytes, SEED_LEN - 1), &seed), E_CRYPTO);
    assert_int_equal(seeds_count(seeds), 0);
}

static void test_seeds_add_that_found_no_room_is_not_found(void **state)
{
    (void)state;
    CLEANUP(seeds_free_p) struct seeds *seeds = NULL;
    static struct secret *others[4096];
    const struct seed *seed = NULL;
    size_t n = 0;
    uint8_t bytes[SEED_LEN] = {7};
    struct seed_name name = name_of(1);
    assert_ok(seeds_new(2, &seeds));
    while (n < 4096 && !failed(secret_new(SECRET_SEED, SEED_LEN, &others[n]))) {
        n++;
    }
    assert_fails(seeds_add(seeds, &name, span_of(bytes, sizeof(bytes)), &seed), E_LIMIT);
    assert_null(seeds_find(seeds, name.key));
    while (n > 0) {
        secret_free(others[--n]);
    }
    assert_ok(seeds_add(seeds, &name, span_of(bytes, sizeof(bytes)), &seed));
}

static void test_seeds_add_twice_keeps_one_and_remembers_that_it_is_own(void **state)
{
    (void)state;
    CLEANUP(seeds_free_p) struct seeds *seeds = NULL;
    const struct seed *first = NULL;
    const struct seed *second = NULL;
    uint8_t bytes[SEED_LEN] = {7};
    struct seed_name name = name_of(1);
    assert_ok(seeds_new(2, &seeds));
    assert_ok(seeds_add(seeds, &name, span_of(bytes, sizeof(bytes)), &first));
    assert_false(first->name.own);
    seeds_confirm(seeds, first);
    name.own = true;
    assert_ok(seeds_add(seeds, &name, span_of(bytes, sizeof(bytes)), &second));
    assert_ptr_equal(first, second);
    assert_true(first->name.own);
    assert_int_equal(secret_in_use(SECRET_SEED), 1);
}

static void test_seeds_add_replaces_what_is_not_confirmed_and_nothing_else(void **state)
{
    (void)state;
    CLEANUP(seeds_free_p) struct seeds *seeds = NULL;
    const struct seed *seed = NULL;
    struct seed_name name = name_of(1);
    const uint8_t wrong[SEED_LEN] = {7};
    const uint8_t right[SEED_LEN] = {8};
    assert_ok(seeds_new(2, &seeds));
    assert_ok(seeds_add(seeds, &name, span_of(wrong, SEED_LEN), &seed));
    seeds_mark_reopened(seeds, seed, 5);
    assert_ok(seeds_add(seeds, &name, span_of(right, SEED_LEN), &seed));
    assert_true(secret_equal(span_of(right, SEED_LEN), secret_view(seed->bytes)));
    assert_false(seed->confirmed);
    assert_int_equal(seed->reopened_ms, 0);
    seeds_confirm(seeds, seed);
    assert_ok(seeds_add(seeds, &name, span_of(wrong, SEED_LEN), &seed));
    assert_true(secret_equal(span_of(right, SEED_LEN), secret_view(seed->bytes)));
    assert_int_equal(secret_in_use(SECRET_SEED), 1);
}

static void test_seeds_drop_wipes_it_and_leaves_room(void **state)
{
    (void)state;
    CLEANUP(seeds_free_p) struct seeds *seeds = NULL;
    const struct seed *seed = NULL;
    struct seed_name name = name_of(1);
    const uint8_t bytes[SEED_LEN] = {7};
    assert_ok(seeds_new(1, &seeds));
    assert_ok(seeds_add(seeds, &name, span_of(bytes, SEED_LEN), &seed));
    seeds_drop(seeds, seed);
    assert_null(seeds_find(seeds, name.key));
    assert_int_equal(secret_in_use(SECRET_SEED), 0);
    assert_ok(seeds_add(seeds, &name, span_of(bytes, SEED_LEN), &seed));
}

static void test_seeds_pinned_one_stays(void **state)
{
    (void)state;
    CLEANUP(seeds_free_p) struct seeds *seeds = NULL;
    const struct seed *pinned = NULL;
    const struct seed *seed = NULL;
    uint8_t bytes[SEED_LEN] = {7};
    struct seed_name name = name_of(1);
    assert_ok(seeds_new(2, &seeds));
    assert_ok(seeds_add(seeds, &name, span_of(bytes, sizeof(bytes)), &pinned));
    seeds_pin(seeds, pinned);
    for (uint8_t n = 2; n <= 9; n++) {
        name = name_of(n);
        assert_ok(seeds_add(seeds, &name, span_of(bytes, sizeof(bytes)), &seed));
    }
    assert_ptr_equal(seeds_find(seeds, name_of(1).key), pinned);
}

static void test_seed_name_of_lengths_at_and_past_the_limit(void **state)
{
    (void)state;
    CLEANUP(seal_free_p) struct seal *seal = NULL;
    const struct envelope_head head = {
        .suite = ENVELOPE_SEED, .scheme = ENVELOPE_AES_GCM, .api = 2};
    uint8_t wrapped[ENVELOPE_WRAPPED_MAX + 1] = {12};
    struct seed_name name;
    assert_ok(seal_new(&seal));
    assert_ok(seed_name_of(seal, &head, span_of(wrapped, ENVELOPE_WRAPPED_MAX), true, &name));
    assert_int_equal(name.head.api, 0);
    assert_fails(seed_name_of(seal, &head, span_of(wrapped, ENVELOPE_WRAPPED_MAX + 1), true, &name),
                 E_INVALID);
    assert_fails(seed_name_of(seal, &head, span_of(wrapped, 0), true, &name), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_seeds_add_past_the_limit_wipes_the_oldest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_seeds_add_of_a_wrong_length_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_seeds_add_that_found_no_room_is_not_found, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_seeds_add_twice_keeps_one_and_remembers_that_it_is_own,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_seeds_add_replaces_what_is_not_confirmed_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seeds_drop_wipes_it_and_leaves_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seeds_pinned_one_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seed_name_of_lengths_at_and_past_the_limit, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
