#include "pkcs11/pin_record.h"

#include "tests/kit/unit.h"
#include "tests/unit/pkcs11/pin_node.h"

/* ---- a good PIN leaves nothing behind, a refused one until a success ---- */

static void test_good_value_is_never_hashed_on_disk(void **state)
{
    (void)state;
    struct node node = node_new(A);
    for (int kill = KILL_NEVER; kill < KILL_POINTS; kill++) {
        (void)start(&node, A, (enum kill_point)kill);
        assert_false(disk_has_hash(&node, A));
    }
    node.outage = true;
    (void)start(&node, A, KILL_NEVER);
    assert_false(disk_has_hash(&node, A));
}

static void test_failed_value_is_forgotten_when_one_succeeds(void **state)
{
    (void)state;
    struct node node = node_new(A);
    (void)start(&node, B, KILL_NEVER);
    assert_true(disk_has_hash(&node, B));
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    assert_false(disk_has(&node, "failed"));
}

/* ---- a wrong value is sent once ---- */

static void test_wrong_value_twenty_times_logs_in_once(void **state)
{
    (void)state;
    struct node node = node_new(A);
    for (int i = 0; i < 20; i++) {
        node.rewritten++;
        (void)start(&node, B, KILL_NEVER);
    }
    assert_int_equal(node.logins[B], 1);
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_FAILED);
}

static void test_killed_before_the_hash_is_not_tried_again(void **state)
{
    (void)state;
    struct node node = node_new(A);
    assert_int_equal(start(&node, B, KILL_BEFORE_HASH), PIN_TRY);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_FAILED);
    }
    assert_int_equal(node.logins[B], 1);
    /* The hash was made up for: the value is known by now, wherever it stands. */
    assert_true(disk_has_hash(&node, B));
    node.rewritten++;
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_FAILED);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_killed_before_the_hash_stops_another_file(void **state)
{
    (void)state;
    struct node node = node_new(A);
    assert_int_equal(start(&node, B, KILL_BEFORE_HASH), PIN_TRY);
    node.rewritten++;
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_FAILED_ANY);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_FAILED_ANY);
    assert_int_equal(node.logins[B], 1);
}

static void test_good_value_that_fails_is_not_tried_again(void **state)
{
    (void)state;
    struct node node = node_proven(false);
    node.right = B;
    (void)start(&node, A, KILL_NEVER);
    assert_int_equal(node.wrong_answers[A], 1);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_FAILED);
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
}

static void test_wrong_value_told_by_another_code_is_failed_by_its_flags(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.sets_count_low = true;
    node.strange = true;
    for (int i = 0; i < 10; i++) {
        node.now_s += 100;
        (void)start(&node, B, KILL_NEVER);
    }
    assert_int_equal(node.logins[B], 1);
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_FAILED);
}

static void test_begin_full_record_refuses_new_values(void **state)
{
    (void)state;
    struct node node = node_new(100);
    struct pin_record record = {.has_salt = true};
    uint8_t hash[PIN_RECORD_HASH];
    for (int i = 0; i <= (int)PIN_RECORD_FAILED; i++) {
        hash_of(i + 1, hash);
        struct pin_try try = {.source = source_of(&node, i),
                              .hash = hash,
                              .flags = {.readable = true}};
        bool full = i == (int)PIN_RECORD_FAILED;
        assert_int_equal(pin_record_begin(&record, &try), full ? PIN_STOP_FULL : PIN_TRY);
        if (!full) {
            pin_record_end(&record, &try, PIN_ANSWER_WRONG, &node.flags);
        }
    }
    save(&node, &record);
}

/* ---- what the token says ---- */

static void test_corrected_value_is_tried_though_count_is_low(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.sets_count_low = true;
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
    assert_true(node.flags.count_low);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_count_low_of_others_stops_an_unproven_value(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.flags.count_low = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_LOW);
    assert_int_equal(node.logins[A], 0);
    node.ordered = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_count_low_lets_a_proven_value_pass(void **state)
{
    (void)state;
    struct node node = node_proven(false);
    node.flags.count_low = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    node.flags.final_try = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    /* Written anew it may be another. */
    node.flags = (struct pin_flags){.readable = true, .count_low = true};
    node.rewritten++;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_LOW);
}

static void test_final_try_stops_an_unproven_value_always(void **state)
{
    (void)state;
    struct node node = node_new(A);
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
    node.flags.final_try = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_LOW);
}

static void test_final_try_after_a_cut_stops_a_proven_value(void **state)
{
    (void)state;
    struct node node = node_proven(false);
    (void)start(&node, A, KILL_BEFORE_LOGIN);
    node.flags.final_try = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_FINAL);
}

static void test_locked_token_is_not_asked(void **state)
{
    (void)state;
    struct node node = node_proven(false);
    node.flags.locked = true;
    node.ordered = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_LOCKED);
    assert_int_equal(node.logins[A], 0);
}

static void test_unreadable_flags_are_not_trusted(void **state)
{
    (void)state;
    struct node node = node_proven(false);
    node.flags.readable = false;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_UNREADABLE);
    assert_int_equal(node.logins[A], 0);
}

/* ---- the rest ---- */

static void test_odd_length_is_not_sent_without_an_order(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.odd_length = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_LENGTH);
    assert_int_equal(node.logins[A], 0);
    node.ordered = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    /* The token takes more than it says: so be it, for every later PIN too. */
    node.rewritten++;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_another_token_is_another_matter(void **state)
{
    (void)state;
    struct node node = node_new(A);
    struct pin_record record;
    (void)start(&node, B, KILL_NEVER);
    pin_record_parse(span_of(node.disk, node.disk_len), "other", &record);
    struct pin_try try = {.source = source_of(&node, B), .flags = node.flags};
    assert_false(pin_record_needs_hash(&record, &try.source));
    assert_int_equal(pin_record_begin(&record, &try), PIN_TRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_value_is_never_hashed_on_disk),
        cmocka_unit_test(test_failed_value_is_forgotten_when_one_succeeds),
        cmocka_unit_test(test_wrong_value_twenty_times_logs_in_once),
        cmocka_unit_test(test_killed_before_the_hash_is_not_tried_again),
        cmocka_unit_test(test_killed_before_the_hash_stops_another_file),
        cmocka_unit_test(test_good_value_that_fails_is_not_tried_again),
        cmocka_unit_test(test_wrong_value_told_by_another_code_is_failed_by_its_flags),
        cmocka_unit_test(test_begin_full_record_refuses_new_values),
        cmocka_unit_test(test_corrected_value_is_tried_though_count_is_low),
        cmocka_unit_test(test_count_low_of_others_stops_an_unproven_value),
        cmocka_unit_test(test_count_low_lets_a_proven_value_pass),
        cmocka_unit_test(test_final_try_stops_an_unproven_value_always),
        cmocka_unit_test(test_final_try_after_a_cut_stops_a_proven_value),
        cmocka_unit_test(test_locked_token_is_not_asked),
        cmocka_unit_test(test_unreadable_flags_are_not_trusted),
        cmocka_unit_test(test_odd_length_is_not_sent_without_an_order),
        cmocka_unit_test(test_another_token_is_another_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
