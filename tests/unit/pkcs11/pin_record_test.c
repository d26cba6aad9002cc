#include "pkcs11/pin_record.h"

#include <string.h>

#include "tests/kit/unit.h"

/*
 * The guard as a node runs it: a record on disk that survives kills, and a token that counts what it is
 * asked. A "start" runs the whole order of things and may be killed between any two steps.
 */
#define SERIAL "0123456789abcdef"
#define NOW    1800000000

enum { A = 1, B = 2, C = 3 };

enum kill_point { KILL_NEVER, KILL_BEFORE_INTENT, KILL_BEFORE_LOGIN, KILL_AFTER_LOGIN };

struct node {
    uint8_t disk[PIN_RECORD_BYTES];
    size_t disk_len;
    int right;               /* the value that the token takes */
    unsigned wrong_answers[4]; /* per value: answered wrong and heard by this node */
    unsigned logins[4];      /* per value: C_Login calls */
    bool outage;             /* C_Login ends in CKR_DEVICE_ERROR */
    bool already;            /* C_Login ends in CKR_USER_ALREADY_LOGGED_IN */
    struct pin_flags flags;
    bool sets_count_low;     /* as SoftHSM does */
    bool ordered;
    int64_t now_s;
};

static struct node node_new(int right)
{
    return (struct node){.right = right, .flags = {.readable = true}, .now_s = NOW};
}

static void hash_of(int value, uint8_t hash[PIN_RECORD_HASH])
{
    memset(hash, value, PIN_RECORD_HASH);
}

static void save(struct node *node, const struct pin_record *record)
{
    size_t len = 0;
    assert_ok(pin_record_write(record, span_mut_of(node->disk, sizeof(node->disk)), &len));
    node->disk_len = len;
}

static enum pin_answer login(struct node *node, int value)
{
    node->logins[value]++;
    if (node->outage || node->already) {
        return node->outage ? PIN_ANSWER_OTHER : PIN_ANSWER_NONE;
    }
    if (value == node->right) {
        /* The token forgets what was wrong before. */
        node->logins[B] = 0;
        node->logins[C] = 0;
        node->flags.count_low = false;
        return PIN_ANSWER_GOOD;
    }
    node->flags.count_low = node->sets_count_low;
    return PIN_ANSWER_WRONG;
}

/* Returns the decision; after PIN_TRY node->logins says what was done. */
static enum pin_decision start(struct node *node, int value, enum kill_point kill)
{
    struct pin_record record;
    uint8_t hash[PIN_RECORD_HASH];
    hash_of(value, hash);
    pin_record_parse(span_of(node->disk, node->disk_len), &record);
    bool needs = pin_record_needs_hash(&record, SERIAL, &node->flags);
    enum pin_decision decision = pin_record_begin(&record, SERIAL, needs ? hash : NULL, &node->flags,
                                                  node->now_s, node->ordered);
    node->ordered = false;
    if (kill == KILL_BEFORE_INTENT) {
        return decision;
    }
    save(node, &record);
    if (decision != PIN_TRY || kill == KILL_BEFORE_LOGIN) {
        return decision;
    }
    enum pin_answer answer = login(node, value);
    if (kill == KILL_AFTER_LOGIN) {
        return decision;
    }
    node->wrong_answers[value] += answer == PIN_ANSWER_WRONG;
    pin_record_end(&record, SERIAL, hash, answer, &node->flags, node->now_s);
    save(node, &record);
    return decision;
}

static void test_start_first_time_costs_no_hash(void **state)
{
    (void)state;
    struct node node = node_new(A);
    struct pin_record record;
    pin_record_parse(span_of(node.disk, 0), &record);
    assert_int_equal(record.n, 0);
    assert_false(pin_record_needs_hash(&record, SERIAL, &node.flags));
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    pin_record_parse(span_of(node.disk, node.disk_len), &record);
    assert_int_equal(record.n, 1);
    assert_int_equal(record.entries[0].state, PIN_GOOD);
    assert_true(record.entries[0].has_hash);
    assert_false(pin_record_needs_hash(&record, SERIAL, &node.flags));
}

static void test_start_wrong_value_twenty_times_logs_in_once(void **state)
{
    (void)state;
    struct node node = node_new(A);
    for (int i = 0; i < 20; i++) {
        (void)start(&node, B, KILL_NEVER);
    }
    assert_int_equal(node.logins[B], 1);
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_FAILED);
}

static void test_start_corrected_value_is_tried_though_count_is_low(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.sets_count_low = true;
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
    assert_true(node.flags.count_low);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    /* The failed one stays failed. */
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_FAILED);
}

static void test_start_count_low_of_others_stops_an_unproven_value(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.flags.count_low = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_LOW);
    assert_int_equal(node.logins[A], 0);
    node.ordered = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_start_count_low_lets_a_proven_value_pass(void **state)
{
    (void)state;
    struct node node = node_new(A);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    node.flags.count_low = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    node.flags.final_try = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_start_final_try_stops_an_unproven_value_always(void **state)
{
    (void)state;
    struct node node = node_new(A);
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
    node.flags.final_try = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_LOW);
}

static void test_start_locked_token_is_not_asked(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.flags.locked = true;
    node.ordered = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_LOCKED);
    assert_int_equal(node.logins[A], 0);
}

static void test_start_unreadable_flags_are_not_trusted(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.flags.readable = false;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_UNREADABLE);
    assert_int_equal(node.logins[A], 0);
}

static void test_start_killed_twice_in_login_is_not_tried_again(void **state)
{
    (void)state;
    for (int point = KILL_BEFORE_LOGIN; point <= KILL_AFTER_LOGIN; point++) {
        struct node node = node_new(B);
        (void)start(&node, A, (enum kill_point)point);
        (void)start(&node, A, (enum kill_point)point);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_CUT);
        }
        assert_true(node.logins[A] <= 2);
        assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
    }
}

static void test_start_left_behind_intent_needs_clean_flags(void **state)
{
    (void)state;
    struct node node = node_new(A);
    (void)start(&node, A, KILL_NEVER);
    (void)start(&node, A, KILL_AFTER_LOGIN);
    node.flags.count_low = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_LOW);
    node.flags.count_low = false;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_start_left_behind_intent_counts_for_any_value(void **state)
{
    (void)state;
    struct node node = node_new(C);
    (void)start(&node, A, KILL_BEFORE_LOGIN);
    (void)start(&node, B, KILL_BEFORE_LOGIN); /* B: intent2 at once */
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_CUT);
    assert_int_equal(start(&node, C, KILL_NEVER), PIN_TRY);
    /* A login that succeeded clears it. */
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    assert_int_equal(node.wrong_answers[A], 1);
}

static void test_start_outage_of_a_good_value_never_latches(void **state)
{
    (void)state;
    struct node node = node_new(A);
    (void)start(&node, A, KILL_NEVER);
    node.outage = true;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    }
    node.outage = false;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    assert_int_equal(node.logins[A], 22);
}

static void test_start_outage_of_a_new_value_waits_and_ends(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.outage = true;
    for (unsigned i = 0; i < PIN_RESTORES_MAX; i++) {
        assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
        node.now_s += PIN_RESTORE_WAIT_S - 1;
        if (i + 1 < PIN_RESTORES_MAX) {
            assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_WAIT);
        }
        node.now_s += 1;
    }
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_ERRORS);
    assert_int_equal(node.logins[A], PIN_RESTORES_MAX);
}

static void test_start_value_that_is_not_looked_at_is_no_better_for_it(void **state)
{
    (void)state;
    struct node node = node_new(A);
    node.already = true;
    for (unsigned i = 0; i < 2 * PIN_RESTORES_MAX; i++) {
        assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
    }
    node.already = false;
    node.flags.count_low = true;
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_STOP_LOW);
    /* And a good one no worse. */
    node.flags.count_low = false;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    node.already = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    node.flags.count_low = true;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
}

static void test_start_good_value_that_fails_is_not_tried_again(void **state)
{
    (void)state;
    struct node node = node_new(A);
    (void)start(&node, A, KILL_NEVER);
    node.right = B;
    (void)start(&node, A, KILL_NEVER);
    assert_int_equal(node.wrong_answers[A], 1);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_STOP_FAILED);
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
}

static void test_take_back_leaves_what_was_before(void **state)
{
    (void)state;
    struct node node = node_new(A);
    struct pin_record record;
    struct pin_flags flags = {.readable = true};
    (void)start(&node, A, KILL_NEVER);
    pin_record_parse(span_of(node.disk, node.disk_len), &record);
    assert_int_equal(pin_record_begin(&record, SERIAL, NULL, &flags, NOW, false), PIN_TRY);
    assert_true(pin_record_needs_hash(&record, SERIAL, &flags));
    pin_record_take_back(&record, SERIAL);
    assert_false(pin_record_needs_hash(&record, SERIAL, &flags));
    assert_int_equal(record.n, 1);
    assert_int_equal(record.entries[0].state, PIN_GOOD);
}

static void test_start_another_token_is_another_matter(void **state)
{
    (void)state;
    struct node node = node_new(A);
    struct pin_record record;
    uint8_t hash[PIN_RECORD_HASH];
    hash_of(B, hash);
    (void)start(&node, B, KILL_NEVER);
    pin_record_parse(span_of(node.disk, node.disk_len), &record);
    assert_false(pin_record_needs_hash(&record, "other", &node.flags));
    assert_int_equal(pin_record_begin(&record, "other", NULL, &node.flags, NOW, false), PIN_TRY);
}

static void test_start_full_record_refuses_new_values(void **state)
{
    (void)state;
    struct pin_record record = {.has_salt = true};
    struct pin_flags flags = {.readable = true};
    uint8_t hash[PIN_RECORD_HASH];
    for (unsigned i = 0; i < PIN_RECORD_ENTRIES; i++) {
        hash_of((int)i + 1, hash);
        bool needs = pin_record_needs_hash(&record, SERIAL, &flags);
        assert_int_equal(
            pin_record_begin(&record, SERIAL, needs ? hash : NULL, &flags, NOW, false), PIN_TRY);
        pin_record_end(&record, SERIAL, hash, PIN_ANSWER_WRONG, &flags, NOW);
    }
    assert_int_equal(record.n, PIN_RECORD_ENTRIES);
    hash_of(100, hash);
    assert_int_equal(pin_record_begin(&record, SERIAL, hash, &flags, NOW, false), PIN_STOP_FULL);
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = 0;
    assert_ok(pin_record_write(&record, span_mut_of(bytes, sizeof(bytes)), &len));
}

/*
 * All histories of four starts with three values, killed anywhere, on a token with and without a
 * counting flag: no value is ever answered wrong twice, and no wrong value meets the token more than
 * twice between two logins that succeeded.
 */
static void run_history(unsigned code, bool sets_count_low)
{
    struct node node = node_new(A);
    node.sets_count_low = sets_count_low;
    for (int i = 0; i < 4; i++) {
        int value = 1 + (int)(code % 3);
        enum kill_point kill = (enum kill_point)(code / 3 % 4);
        (void)start(&node, value, kill);
        code /= 12;
        assert_true(node.wrong_answers[B] <= 1 && node.wrong_answers[C] <= 1);
        assert_true(node.logins[B] <= 2 && node.logins[C] <= 2);
    }
}

static void test_histories_never_answer_a_value_wrong_twice(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 12 * 12 * 12 * 12; code++) {
        run_history(code, code % 2 == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_first_time_costs_no_hash),
        cmocka_unit_test(test_start_wrong_value_twenty_times_logs_in_once),
        cmocka_unit_test(test_start_corrected_value_is_tried_though_count_is_low),
        cmocka_unit_test(test_start_count_low_of_others_stops_an_unproven_value),
        cmocka_unit_test(test_start_count_low_lets_a_proven_value_pass),
        cmocka_unit_test(test_start_final_try_stops_an_unproven_value_always),
        cmocka_unit_test(test_start_locked_token_is_not_asked),
        cmocka_unit_test(test_start_unreadable_flags_are_not_trusted),
        cmocka_unit_test(test_start_killed_twice_in_login_is_not_tried_again),
        cmocka_unit_test(test_start_left_behind_intent_needs_clean_flags),
        cmocka_unit_test(test_start_left_behind_intent_counts_for_any_value),
        cmocka_unit_test(test_start_outage_of_a_good_value_never_latches),
        cmocka_unit_test(test_start_outage_of_a_new_value_waits_and_ends),
        cmocka_unit_test(test_start_value_that_is_not_looked_at_is_no_better_for_it),
        cmocka_unit_test(test_start_good_value_that_fails_is_not_tried_again),
        cmocka_unit_test(test_take_back_leaves_what_was_before),
        cmocka_unit_test(test_start_another_token_is_another_matter),
        cmocka_unit_test(test_start_full_record_refuses_new_values),
        cmocka_unit_test(test_histories_never_answer_a_value_wrong_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
