#include "keys/ring.h"

#include <string.h>

#include "tests/kit/unit.h"

#define NOW 1800000000

static struct ring_key key(uint32_t not_before, uint32_t created, uint8_t id,
                           enum ring_verdict verdict)
{
    struct ring_key k = {.not_before = not_before, .created = created, .verdict = verdict};
    memset(k.kek_id, id, sizeof(k.kek_id));
    return k;
}

static void test_compare_created_then_not_before_then_id(void **state)
{
    (void)state;
    struct ring_key base = key(100, 50, 5, RING_GOOD);
    struct ring_key later_made = key(60, 51, 9, RING_GOOD);
    struct ring_key later = key(101, 50, 9, RING_GOOD);
    struct ring_key smaller_id = key(100, 50, 4, RING_GOOD);
    assert_true(ring_compare(&later_made, &base) > 0);
    assert_true(ring_compare(&later, &base) > 0);
    assert_true(ring_compare(&smaller_id, &base) > 0);
    assert_true(ring_compare(&base, &smaller_id) < 0);
    assert_true(ring_same(&base, &base));
}

static void test_choose_takes_the_largest_active_not_before(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 10, NOW - 20, 1, RING_GOOD),
                              key(NOW, NOW - 5, 2, RING_GOOD), key(NOW + 1, NOW - 5, 3, RING_GOOD),
                              key(NOW + 9, NOW - 5, 4, RING_GOOD)};
    struct ring_choice choice;
    ring_choose(keys, 4, NOW, &choice);
    assert_ptr_equal(choice.selected, &keys[1]);
    assert_ptr_equal(choice.next, &keys[2]);
    assert_false(choice.future_only || choice.beyond_horizon || choice.created_after_not_before);
}

static void test_choose_ignores_bad_unknown_and_created_after_not_before(void **state)
{
    (void)state;
    struct ring_key keys[] = {
        key(NOW - 50, NOW - 60, 1, RING_GOOD), key(NOW - 40, NOW - 60, 2, RING_BAD),
        key(NOW - 30, NOW - 60, 3, RING_UNKNOWN), key(NOW - 20, NOW - 10, 4, RING_GOOD)};
    struct ring_choice choice;
    ring_choose(keys, 4, NOW, &choice);
    assert_ptr_equal(choice.selected, &keys[0]);
    assert_true(choice.created_after_not_before);
    assert_true(choice.unknown_above);
    assert_true(choice.bad_above);
}

static void test_choose_horizon_at_and_one_past(void **state)
{
    (void)state;
    struct ring_key at = key(NOW + RING_HORIZON_S, NOW, 1, RING_GOOD);
    struct ring_key past = key(NOW + RING_HORIZON_S + 1, NOW, 1, RING_GOOD);
    struct ring_choice choice;
    ring_choose(&at, 1, NOW, &choice);
    assert_ptr_equal(choice.next, &at);
    assert_true(choice.future_only);
    assert_false(choice.beyond_horizon);
    ring_choose(&past, 1, NOW, &choice);
    assert_null(choice.next);
    assert_true(choice.beyond_horizon && choice.future_only);
}

static void test_choose_next_of_equal_times_is_the_one_that_will_be_selected(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW + 5, NOW, 9, RING_GOOD), key(NOW + 5, NOW - 1, 10, RING_GOOD),
                              key(NOW + 6, NOW - 9, 1, RING_GOOD)};
    struct ring_choice choice;
    ring_choose(keys, 3, NOW, &choice);
    assert_ptr_equal(choice.next, &keys[0]);
}

static void test_emergency_outranks_what_was_staged_before_it(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 900, NOW - 900, 1, RING_GOOD),
                              key(NOW + 240, NOW - 60, 2, RING_GOOD), key(NOW, NOW, 3, RING_GOOD),
                              key(NOW + 300, NOW + 1, 4, RING_GOOD)};
    struct ring_choice choice;
    ring_choose(keys, 3, NOW, &choice);
    assert_ptr_equal(choice.selected, &keys[2]);
    assert_null(choice.next);
    assert_true(ring_superseded(keys, 3, &keys[1]));
    ring_choose(keys, 3, NOW + 240, &choice);
    assert_ptr_equal(choice.selected, &keys[2]);
    ring_choose(keys, 4, NOW + 10, &choice);
    assert_ptr_equal(choice.next, &keys[3]);
    assert_false(ring_superseded(keys, 4, &keys[3]));
    keys[2].verdict = RING_BAD; /* what cannot seal takes nobody's place */
    assert_false(ring_superseded(keys, 3, &keys[1]));
}

static void test_next_created_ranks_above_all_but_mad_clocks(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW + 400, NOW + RING_SKEW_S, 1, RING_GOOD),
                              key(NOW, NOW, 2, RING_BAD),
                              key(NOW + 400, NOW + RING_SKEW_S + 1, 3, RING_GOOD)};
    assert_int_equal(ring_next_created(keys, 3, NOW), NOW + RING_SKEW_S + 1);
    assert_int_equal(ring_next_created(keys + 1, 1, NOW), NOW + 1);
    assert_int_equal(ring_next_created(NULL, 0, NOW), 0);
}

static void test_choose_unnamed_key_may_rank_above_any(void **state)
{
    (void)state;
    struct ring_choice choice;
    struct ring_key keys[] = {key(1000, 1000, 1, RING_GOOD), {.verdict = RING_UNKNOWN}};
    ring_choose(keys, 2, NOW, &choice);
    assert_ptr_equal(choice.selected, &keys[0]);
    assert_true(choice.unknown_above);
    assert_true(ring_unnamed(&keys[1]));
    keys[1] = key(900, 900, 2, RING_UNKNOWN);
    ring_choose(keys, 2, NOW, &choice);
    assert_false(choice.unknown_above);
    assert_false(ring_unnamed(&keys[1]));
}

static void test_choose_nothing_is_not_a_clock_fault(void **state)
{
    (void)state;
    struct ring_choice choice;
    ring_choose(NULL, 0, NOW, &choice);
    assert_null(choice.selected);
    assert_false(choice.future_only);
}

static void test_next_not_before_delay_and_selected_decide(void **state)
{
    (void)state;
    struct ring_key selected = key(NOW, NOW, 1, RING_GOOD);
    uint32_t nb = 0;
    assert_ok(ring_next_not_before(NULL, NOW, 0, 0, &nb));
    assert_int_equal(nb, NOW);
    assert_ok(ring_next_not_before(&selected, NOW, 0, 0, &nb));
    assert_int_equal(nb, NOW + 1);
    assert_ok(ring_next_not_before(&selected, NOW, 300, 0, &nb));
    assert_int_equal(nb, NOW + 300);
}

static void test_next_not_before_at_bounds(void **state)
{
    (void)state;
    uint32_t nb = 0;
    assert_ok(ring_next_not_before(NULL, NOW, 300, NOW + 300, &nb));
    assert_int_equal(nb, NOW + 300);
    assert_fails(ring_next_not_before(NULL, NOW, 300, NOW + 299, &nb), E_INVALID);
    assert_ok(ring_next_not_before(NULL, NOW, 300, NOW + (int64_t)RING_HORIZON_S, &nb));
    assert_fails(ring_next_not_before(NULL, NOW, 300, NOW + (int64_t)RING_HORIZON_S + 1, &nb),
                 E_INVALID);
    assert_fails(ring_next_not_before(NULL, (int64_t)UINT32_MAX, 1, 0, &nb), E_INVALID);
    assert_fails(ring_next_not_before(NULL, -400, 1, 0, &nb), E_INVALID);
}

static void test_clock_doubtful_400_days_past_the_newest(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(1000, 1000, 1, RING_GOOD), key(500, 500, 2, RING_BAD)};
    assert_false(ring_clock_doubtful(keys, 2, 1000 + 400 * 86400));
    assert_true(ring_clock_doubtful(keys, 2, 1001 + 400 * 86400));
    assert_false(ring_clock_doubtful(keys, 0, NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare_created_then_not_before_then_id),
        cmocka_unit_test(test_emergency_outranks_what_was_staged_before_it),
        cmocka_unit_test(test_next_created_ranks_above_all_but_mad_clocks),
        cmocka_unit_test(test_choose_takes_the_largest_active_not_before),
        cmocka_unit_test(test_choose_ignores_bad_unknown_and_created_after_not_before),
        cmocka_unit_test(test_choose_horizon_at_and_one_past),
        cmocka_unit_test(test_choose_next_of_equal_times_is_the_one_that_will_be_selected),
        cmocka_unit_test(test_choose_unnamed_key_may_rank_above_any),
        cmocka_unit_test(test_choose_nothing_is_not_a_clock_fault),
        cmocka_unit_test(test_next_not_before_delay_and_selected_decide),
        cmocka_unit_test(test_next_not_before_at_bounds),
        cmocka_unit_test(test_clock_doubtful_400_days_past_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
