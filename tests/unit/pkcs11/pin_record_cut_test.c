/* Logins of which nobody knows how they ended, and errors of the token. */
#include "pkcs11/pin_record.h"

#include "tests/kit/unit.h"
#include "tests/unit/pkcs11/pin_node.h"

/* ---- logins that were cut short ---- */

static void test_cut_twice_before_any_success_is_not_tried_again(void **state)
{
    (void)state;
    for (int point = KILL_BEFORE_LOGIN; point <= KILL_AFTER_LOGIN; point++) {
        struct node node = node_new(B);
        for (int i = 0; i < 6; i++) {
            node.now_s += PIN_WAIT_MAX_S;
            node.rewritten++;
            (void)start(&node, A, (enum kill_point)point);
        }
        assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_CUT);
        assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_CUT);
        assert_true(node.logins[A] <= PIN_CUT_MAX);
    }
}

static void test_cut_with_a_proven_file_only_pauses(void **state)
{
    (void)state;
    struct node node = node_proven(false);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(start(&node, A, KILL_AFTER_LOGIN), PIN_TRY);
        if (i >= (int)PIN_CUT_MAX - 1) {
            assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_WAIT);
            node.now_s += PIN_WAIT_S;
        }
    }
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_cut_with_a_file_written_anew_pauses_longer_and_longer(void **state)
{
    (void)state;
    struct node node = node_proven(false);
    int64_t first_s = node.now_s;
    unsigned tries = 0;
    node.rewritten++;
    for (int minute = 0; minute < 24 * 60; minute++) {
        tries += start(&node, A, KILL_BEFORE_LOGIN) == PIN_TRY;
        node.now_s = first_s + (int64_t)minute * 60;
    }
    assert_in_range(tries, 24, 36);
    node.now_s += PIN_WAIT_MAX_S;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_cut_on_a_token_that_tells_is_no_matter(void **state)
{
    (void)state;
    struct node node = node_that_tells();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(start(&node, A, KILL_BEFORE_LOGIN), PIN_TRY);
    }
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_cut_on_a_token_that_tells_stops_a_wrong_value(void **state)
{
    (void)state;
    struct node node = node_that_tells();
    assert_int_equal(start(&node, C, KILL_AFTER_LOGIN), PIN_TRY);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(start(&node, C, KILL_NEVER), PIN_STOP_LOW);
    }
    assert_int_equal(node.logins[C], 1);
}

static void test_cut_leaves_no_doubt_once_one_succeeds(void **state)
{
    (void)state;
    struct node node = node_new(A);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(start(&node, A, KILL_BEFORE_LOGIN), PIN_TRY);
        assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    }
}

/* ---- errors of the token ---- */

static void test_outage_of_a_proven_file_never_waits(void **state)
{
    (void)state;
    struct node node = node_proven(false);
    node.outage = true;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    }
    node.outage = false;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_outage_before_any_success_waits_and_ends(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.outage = true;
    for (unsigned i = 0; i < PIN_ERRORS_MAX; i++) {
        assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
        node.now_s += PIN_WAIT_S - 1;
        if (i + 1 < PIN_ERRORS_MAX) {
            assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_WAIT);
        }
        node.now_s += 1;
    }
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_ERRORS);
    assert_int_equal(node.logins[A], PIN_ERRORS_MAX);
}

static void test_outage_with_a_file_written_anew_goes_on_by_the_hour(void **state)
{
    (void)state;
    struct node node = node_proven(false);
    node.rewritten++;
    node.outage = true;
    unsigned tries = 0;
    for (int minute = 0; minute < 10 * 60; minute++) {
        tries += start(&node, A, KILL_NEVER) == PIN_TRY;
        node.now_s += 60;
    }
    assert_in_range(tries, PIN_ERRORS_MAX + 8, PIN_ERRORS_MAX + 11);
    node.now_s += PIN_WAIT_MAX_S;
    node.outage = false;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_outage_on_a_token_that_tells_never_waits(void **state)
{
    (void)state;
    struct node node = node_that_tells();
    node.outage = true;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    }
}

static void test_value_that_is_not_looked_at_is_no_better_for_it(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.already = true;
    for (unsigned i = 0; i < 2 * PIN_ERRORS_MAX; i++) {
        assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
    }
    node.already = false;
    node.flags.count_low = true;
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_LOW);
    /* And a good one no worse. */
    node = node_proven(false);
    node.already = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    node.flags.count_low = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

/*
 * All histories of four starts with three values, killed anywhere, on tokens that count and do not:
 * no value is heard to be wrong twice, and no wrong value meets the token more than twice between
 * two logins that succeeded; on one that is known to tell by its flags, more than once.
 */
#define KILLS 4

static void run_history(unsigned code, struct node node, unsigned max)
{
    static const enum kill_point kills[KILLS] = {KILL_NEVER, KILL_BEFORE_LOGIN, KILL_AFTER_LOGIN,
                                                 KILL_BEFORE_HASH};
    for (int i = 0; i < 4; i++) {
        int value = 1 + (int)(code % 3);
        (void)start(&node, value, kills[code / 3 % KILLS]);
        code /= 3 * KILLS;
        assert_true(node.wrong_answers[B] <= 1 && node.wrong_answers[C] <= 1);
        assert_true(node.logins[B] <= max && node.logins[C] <= max);
    }
}

static void test_histories_never_answer_a_value_wrong_twice(void **state)
{
    (void)state;
    unsigned all = 3 * KILLS * 3 * KILLS * 3 * KILLS * 3 * KILLS;
    struct node fresh = node_new(A);
    struct node proven = node_proven(false);
    struct node tells = node_that_tells();
    for (unsigned code = 0; code < all; code++) {
        run_history(code, fresh, 2);
        run_history(code, proven, 2);
        run_history(code, tells, 1);
    }
}

/*
 * Whatever was killed when, a PIN that has succeeded here gets its try within the hour without a
 * command.
 */
static void test_histories_of_a_good_pin_need_no_command(void **state)
{
    (void)state;
    unsigned all = 8 * KILL_POINTS * KILL_POINTS * KILL_POINTS * KILL_POINTS;
    for (unsigned code = 0; code < all; code++) {
        struct node node = node_proven((code & 1) != 0);
        node.rewritten += (code & 2) != 0;
        node.outage = (code & 4) != 0;
        for (unsigned rest = code / 8; rest > 0; rest /= KILL_POINTS) {
            (void)start(&node, A, (enum kill_point)(rest % KILL_POINTS));
        }
        node.now_s += PIN_WAIT_MAX_S;
        node.outage = false;
        assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_twice_before_any_success_is_not_tried_again),
        cmocka_unit_test(test_cut_with_a_proven_file_only_pauses),
        cmocka_unit_test(test_cut_with_a_file_written_anew_pauses_longer_and_longer),
        cmocka_unit_test(test_cut_on_a_token_that_tells_is_no_matter),
        cmocka_unit_test(test_cut_on_a_token_that_tells_stops_a_wrong_value),
        cmocka_unit_test(test_cut_leaves_no_doubt_once_one_succeeds),
        cmocka_unit_test(test_outage_of_a_proven_file_never_waits),
        cmocka_unit_test(test_outage_before_any_success_waits_and_ends),
        cmocka_unit_test(test_outage_with_a_file_written_anew_goes_on_by_the_hour),
        cmocka_unit_test(test_outage_on_a_token_that_tells_never_waits),
        cmocka_unit_test(test_value_that_is_not_looked_at_is_no_better_for_it),
        cmocka_unit_test(test_histories_never_answer_a_value_wrong_twice),
        cmocka_unit_test(test_histories_of_a_good_pin_need_no_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
