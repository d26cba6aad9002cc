#include "server/rotation/rotation.h"

#include <string.h>

#include "tests/kit/unit.h"

#define NOW INT64_C(1800000000)

static struct rotation rotation;

static struct ring_key key(int64_t not_before, uint8_t id)
{
    struct ring_key k = {.not_before = (uint32_t)not_before,
                         .created = (uint32_t)(NOW - 5000),
                         .verdict = RING_GOOD};
    memset(k.kek_id, id, sizeof(k.kek_id));
    return k;
}

static bool serves(const struct ring_key *wanted)
{
    return rotation.view.has_serving && ring_same(&rotation.view.serving, wanted);
}

static bool wants(const struct ring_key *wanted)
{
    for (size_t i = 0; i < rotation.view.want_proof_n; i++) {
        if (ring_same(&rotation.view.want_proof[i], wanted)) {
            return true;
        }
    }
    return false;
}

/* A process that remembers `a` and serves it. */
static void start_serving(const struct ring_key *a)
{
    rotation_init(&rotation, a, 0);
    rotation_listed(&rotation, a, 1, NOW, 0);
    rotation_proven(&rotation, a, NOW, 1);
    assert_true(serves(a));
}

static void test_first_choice_needs_two_equal_looks_and_a_proof(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    rotation_init(&rotation, NULL, 0);
    rotation_listed(&rotation, &a, 1, NOW, 10);
    assert_int_equal(rotation.view.list_at_ms, 10 + ROTATION_LIST_FAST_MS);
    assert_true(wants(&a));
    rotation_proven(&rotation, &a, NOW, 20);
    assert_false(rotation.view.has_serving);
    rotation_listed(&rotation, &a, 1, NOW, 10 + ROTATION_LOOK_MS - 1);
    assert_false(rotation.view.has_serving);
    rotation_listed(&rotation, &a, 1, NOW + 2, 10 + ROTATION_LOOK_MS);
    assert_true(serves(&a));
    assert_int_equal(rotation.view.list_at_ms, 10 + ROTATION_LOOK_MS + ROTATION_LIST_MS);
}

static void test_first_choice_starts_over_when_the_listing_changes(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW - 50, 2)};
    rotation_init(&rotation, NULL, 0);
    rotation_listed(&rotation, keys, 1, NOW, 0);
    rotation_proven(&rotation, &keys[0], NOW, 1);
    rotation_listed(&rotation, keys, 2, NOW, 2000);
    rotation_proven(&rotation, &keys[1], NOW, 2001);
    assert_false(rotation.view.has_serving);
    rotation_listed(&rotation, keys, 2, NOW, 4000);
    assert_true(serves(&keys[1]));
}

static void test_first_choice_order_of_a_listing_does_not_matter(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW - 50, 2)};
    struct ring_key turned[] = {keys[1], keys[0]};
    rotation_init(&rotation, NULL, 0);
    rotation_listed(&rotation, keys, 2, NOW, 0);
    rotation_proven(&rotation, &keys[1], NOW, 1);
    rotation_listed(&rotation, turned, 2, NOW, 2000);
    assert_true(serves(&keys[1]));
}

static void test_first_choice_waits_while_an_unreadable_key_ranks_above(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW - 50, 0)};
    keys[1].verdict = RING_UNKNOWN;
    rotation_init(&rotation, NULL, 0);
    rotation_listed(&rotation, keys, 2, NOW, 0);
    rotation_proven(&rotation, &keys[0], NOW, 1);
    rotation_listed(&rotation, keys, 2, NOW, 2000);
    assert_false(rotation.view.has_serving);
    assert_true(rotation.view.alarm_unknown_above);
    keys[1].verdict = RING_BAD;
    memset(keys[1].kek_id, 2, sizeof(keys[1].kek_id));
    rotation_listed(&rotation, keys, 2, NOW, 4000);
    rotation_listed(&rotation, keys, 2, NOW, 6000);
    assert_true(serves(&keys[0]));
}

static void test_remembered_key_serves_after_one_look_and_its_proof(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    rotation_init(&rotation, &a, 0);
    rotation_listed(&rotation, &a, 1, NOW, 5);
    assert_false(rotation.view.older_than_remembered);
    rotation_proven(&rotation, &a, NOW, 6);
    assert_true(serves(&a));
}

static void test_staged_key_is_proven_early_and_switches_at_its_second(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW + 300, 2)};
    start_serving(&keys[0]);
    rotation_listed(&rotation, keys, 2, NOW, 20000);
    assert_true(wants(&keys[1]));
    assert_int_equal(rotation.view.switch_at_s, NOW + 300);
    rotation_proven(&rotation, &keys[1], NOW + 1, 20100);
    assert_true(serves(&keys[0]));
    assert_false(rotation_tick(&rotation, NOW + 299, 30000));
    assert_true(rotation_tick(&rotation, NOW + 300, 31000));
    assert_true(serves(&keys[1]));
    assert_false(rotation_tick(&rotation, NOW + 301, 32000));
}

static void test_selected_key_without_proof_leaves_the_old_one_and_alarms(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW - 1, 2)};
    start_serving(&keys[0]);
    rotation_listed(&rotation, keys, 2, NOW, 20000);
    assert_true(serves(&keys[0]));
    assert_int_equal(rotation.view.list_at_ms, 20000 + ROTATION_LIST_FAST_MS);
    (void)rotation_tick(&rotation, NOW, 20000 + ROTATION_ALARM_MS - 1);
    assert_false(rotation.view.alarm_unproven);
    (void)rotation_tick(&rotation, NOW, 20000 + ROTATION_ALARM_MS);
    assert_true(rotation.view.alarm_unproven);
    rotation_proven(&rotation, &keys[1], NOW, 90000);
    assert_true(serves(&keys[1]));
    assert_false(rotation.view.alarm_unproven);
}

static void test_serving_never_moves_back_when_the_clock_does(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW, 2)};
    start_serving(&keys[1]);
    rotation_listed(&rotation, keys, 2, NOW - 50, 20000);
    rotation_proven(&rotation, &keys[0], NOW - 50, 20001);
    assert_true(serves(&keys[1]));
    assert_int_equal(rotation.view.switch_at_s, 0);
}

static void test_start_older_key_never_serves_while_the_remembered_one_is_gone(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW - 50, 2), key(NOW - 10, 3)};
    rotation_init(&rotation, &keys[1], 0);
    rotation_listed(&rotation, keys, 1, NOW, 0);
    rotation_proven(&rotation, &keys[0], NOW, 1);
    assert_false(rotation.view.has_serving);
    assert_true(rotation.view.older_than_remembered);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
    rotation_listed(&rotation, keys, 1, NOW, 2000);
    assert_int_equal(rotation.view.verdict, ROTATION_MISSING);
    assert_false(rotation.view.has_serving);
    struct ring_key after[] = {keys[0], keys[2]};
    rotation_listed(&rotation, after, 2, NOW, 4000);
    rotation_proven(&rotation, &keys[2], NOW, 4001);
    assert_true(serves(&keys[2]));
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
}

static void test_start_remembered_key_stands_in_for_a_better_unprovable_one(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW - 50, 2)};
    rotation_init(&rotation, &keys[0], 0);
    rotation_listed(&rotation, keys, 2, NOW, 0);
    assert_true(wants(&keys[0]) && wants(&keys[1]));
    rotation_proven(&rotation, &keys[0], NOW, 1);
    assert_true(serves(&keys[0]));
    rotation_proven(&rotation, &keys[1], NOW, 2);
    assert_true(serves(&keys[1]));
}

static void test_missing_needs_two_looks_and_a_proof_clears_it(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    start_serving(&a);
    rotation_listed(&rotation, NULL, 0, NOW, 20000);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
    assert_int_equal(rotation.view.list_at_ms, 22000);
    rotation_listed(&rotation, NULL, 0, NOW, 21999);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
    rotation_listed(&rotation, NULL, 0, NOW, 22000);
    assert_int_equal(rotation.view.verdict, ROTATION_MISSING);
    assert_true(rotation.view.ring_empty);
    assert_true(serves(&a));
    rotation_listed(&rotation, &a, 1, NOW, 24000);
    assert_int_equal(rotation.view.verdict, ROTATION_MISSING);
    rotation_proven(&rotation, &a, NOW, 24001);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
}

static void test_missing_once_then_seen_is_forgotten(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    start_serving(&a);
    rotation_listed(&rotation, NULL, 0, NOW, 20000);
    rotation_listed(&rotation, &a, 1, NOW, 22000);
    rotation_listed(&rotation, NULL, 0, NOW, 24000);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
}

static void test_bad_attribute_is_not_cleared_by_a_proof(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    start_serving(&a);
    struct ring_key bad = a;
    bad.verdict = RING_BAD;
    rotation_listed(&rotation, &bad, 1, NOW, 20000);
    rotation_listed(&rotation, &bad, 1, NOW, 22000);
    assert_int_equal(rotation.view.verdict, ROTATION_BAD);
    rotation_proven(&rotation, &a, NOW, 22001);
    assert_int_equal(rotation.view.verdict, ROTATION_BAD);
    rotation_listed(&rotation, &a, 1, NOW, 24000);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
}

static void test_replaced_value_under_the_same_label_is_changed(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    struct ring_key impostor = key(NOW - 100, 9);
    start_serving(&a);
    rotation_listed(&rotation, &impostor, 1, NOW, 20000);
    rotation_listed(&rotation, &impostor, 1, NOW, 22000);
    assert_int_equal(rotation.view.verdict, ROTATION_CHANGED);
}

static void test_replaced_value_that_ranks_higher_never_serves(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 5);
    struct ring_key impostor = key(NOW - 100, 1);
    start_serving(&a);
    rotation_listed(&rotation, &impostor, 1, NOW, 20000);
    rotation_proven(&rotation, &impostor, NOW, 20001);
    assert_true(serves(&a));
    rotation_listed(&rotation, &impostor, 1, NOW, 22000);
    assert_int_equal(rotation.view.verdict, ROTATION_CHANGED);
    assert_true(serves(&a));
}

static void test_duplicate_that_ranks_higher_serves_while_both_are_there(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 5), key(NOW - 100, 1)};
    start_serving(&keys[0]);
    rotation_listed(&rotation, keys, 2, NOW, 20000);
    rotation_proven(&rotation, &keys[1], NOW, 20001);
    assert_true(serves(&keys[1]));
}

static void test_canary_wrong_needs_two_looks(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    start_serving(&a);
    rotation_canary_wrong(&rotation, 20000);
    rotation_canary_wrong(&rotation, 21999);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
    rotation_canary_wrong(&rotation, 22000);
    assert_int_equal(rotation.view.verdict, ROTATION_CHANGED);
    rotation_proven(&rotation, &a, NOW, 22001);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
}

static void test_unreadable_key_keeps_its_last_known_verdict(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    start_serving(&a);
    struct ring_key unreadable = key(NOW - 100, 0);
    unreadable.verdict = RING_UNKNOWN;
    rotation_listed(&rotation, &unreadable, 1, NOW, 20000);
    rotation_listed(&rotation, &unreadable, 1, NOW, 22000);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
    assert_false(rotation.view.alarm_unknown_above);
    assert_true(serves(&a));
}

static void test_list_failed_looks_again_soon_and_keeps_all(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    start_serving(&a);
    rotation_list_failed(&rotation, 50000);
    assert_int_equal(rotation.view.list_at_ms, 50000 + ROTATION_LIST_FAST_MS);
    /*
     * However long the last complete one is over: whoever acts on the view would list without a
     * pause.
     */
    (void)rotation_tick(&rotation, NOW, 50001);
    assert_int_equal(rotation.view.list_at_ms, 50000 + ROTATION_LIST_FAST_MS);
    assert_true(serves(&a));
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
}

static void test_all_keys_ahead_is_a_clock_question(void **state)
{
    (void)state;
    struct ring_key a = key(NOW + 100, 1);
    rotation_init(&rotation, NULL, 0);
    rotation_listed(&rotation, &a, 1, NOW, 0);
    assert_true(rotation.view.clock_suspect);
    assert_false(rotation.view.has_serving);
}

static void test_proven_more_than_the_table_holds_keeps_what_serves(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    start_serving(&a);
    for (uint8_t i = 2; i < 60; i++) {
        struct ring_key other = key(NOW - 1000 - i, i);
        rotation_proven(&rotation, &other, NOW, 10);
    }
    assert_int_equal(rotation.proven_n, ROTATION_PROVEN_MAX);
    rotation_listed(&rotation, &a, 1, NOW, 20000);
    assert_false(wants(&a));
    assert_true(serves(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_choice_needs_two_equal_looks_and_a_proof),
        cmocka_unit_test(test_first_choice_starts_over_when_the_listing_changes),
        cmocka_unit_test(test_first_choice_order_of_a_listing_does_not_matter),
        cmocka_unit_test(test_first_choice_waits_while_an_unreadable_key_ranks_above),
        cmocka_unit_test(test_remembered_key_serves_after_one_look_and_its_proof),
        cmocka_unit_test(test_staged_key_is_proven_early_and_switches_at_its_second),
        cmocka_unit_test(test_selected_key_without_proof_leaves_the_old_one_and_alarms),
        cmocka_unit_test(test_serving_never_moves_back_when_the_clock_does),
        cmocka_unit_test(test_start_older_key_never_serves_while_the_remembered_one_is_gone),
        cmocka_unit_test(test_start_remembered_key_stands_in_for_a_better_unprovable_one),
        cmocka_unit_test(test_missing_needs_two_looks_and_a_proof_clears_it),
        cmocka_unit_test(test_missing_once_then_seen_is_forgotten),
        cmocka_unit_test(test_bad_attribute_is_not_cleared_by_a_proof),
        cmocka_unit_test(test_replaced_value_under_the_same_label_is_changed),
        cmocka_unit_test(test_replaced_value_that_ranks_higher_never_serves),
        cmocka_unit_test(test_duplicate_that_ranks_higher_serves_while_both_are_there),
        cmocka_unit_test(test_canary_wrong_needs_two_looks),
        cmocka_unit_test(test_unreadable_key_keeps_its_last_known_verdict),
        cmocka_unit_test(test_list_failed_looks_again_soon_and_keeps_all),
        cmocka_unit_test(test_all_keys_ahead_is_a_clock_question),
        cmocka_unit_test(test_proven_more_than_the_table_holds_keeps_what_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
