#include "keys/rotate.h"

#include "tests/kit/unit.h"

#define NOW_S 1700000000u

static struct ring_key key;
static struct rotate_facts facts;
static struct rotate_wish wish;
static struct rotate_plan plan;
static struct ring_key memory;

static int setup(void **state)
{
    (void)state;
    key =
        (struct ring_key){.not_before = NOW_S - 100, .created = NOW_S - 100, .verdict = RING_GOOD};
    facts = (struct rotate_facts){.keys = &key, .n = 1, .now_s = NOW_S};
    wish = (struct rotate_wish){.delay_s = 300};
    memory = key;
    plan = (struct rotate_plan){0};
    return 0;
}

static err_t planned(const struct ring_key *remembered)
{
    facts.remembered = remembered;
    return rotate_plan(&facts, &wish, &plan);
}

static void assert_refused(const struct ring_key *remembered, enum err_code code,
                           enum rotate_refusal why)
{
    err_t err = planned(remembered);
    assert_fails(err, code);
    assert_int_equal(err.detail, why);
}

static void nothing_listed(void)
{
    facts.n = 0;
}

static void test_plan_gives_the_configured_notice(void **state)
{
    (void)state;
    assert_ok(planned(NULL));
    assert_int_equal(plan.not_before, NOW_S + 300);
    assert_int_equal(plan.min_notice_s, 290);
    assert_int_equal(plan.floor_s, 0);
}

static void test_plan_ranks_above_a_selected_key_that_is_newer(void **state)
{
    (void)state;
    key.not_before = NOW_S;
    wish.delay_s = 0;
    assert_ok(planned(NULL));
    assert_int_equal(plan.not_before, 0);
    assert_int_equal(plan.floor_s, NOW_S + 1);
    assert_int_equal(plan.min_notice_s, 0);
}

/* "No key of this ring" is not what an unreadable key means. */
static void test_plan_with_nothing_readable_is_another_try_and_no_new_ring(void **state)
{
    (void)state;
    nothing_listed();
    assert_refused(NULL, E_NOT_FOUND, ROTATE_EMPTY);
    facts.unnamed = 1;
    assert_refused(NULL, E_UNAVAILABLE, ROTATE_UNREADABLE);
    assert_refused(&memory, E_UNAVAILABLE, ROTATE_UNREADABLE);
    wish.now = true;
    assert_ok(planned(&memory));
}

static void test_plan_now_leaves_the_time_to_the_token(void **state)
{
    (void)state;
    wish.now = true;
    assert_ok(planned(NULL));
    assert_int_equal(plan.not_before, 0);
    assert_int_equal(plan.floor_s, NOW_S);
    assert_int_equal(plan.min_notice_s, 0);
    key.not_before = NOW_S;
    assert_ok(planned(NULL));
    assert_int_equal(plan.floor_s, NOW_S + 1);
}

static void test_plan_ranks_above_what_is_staged(void **state)
{
    (void)state;
    struct ring_key keys[] = {key, key};
    keys[1].created = NOW_S + 20; /* its maker's clock is ahead of ours */
    keys[1].not_before = NOW_S + 320;
    facts = (struct rotate_facts){.keys = keys, .n = 2, .now_s = NOW_S};
    wish.now = true;
    assert_ok(planned(NULL));
    assert_int_equal(plan.created_s, NOW_S + 21);
    memory.created = NOW_S + 50;
    assert_ok(planned(&memory));
    assert_int_equal(plan.created_s, NOW_S + 51);
    wish = (struct rotate_wish){.delay_s = 5}; /* never active before it is made */
    assert_ok(planned(&memory));
    assert_int_equal(plan.not_before, NOW_S + 51);
}

static void test_plan_at_earlier_than_the_notice_or_beyond_the_horizon_is_refused(void **state)
{
    (void)state;
    wish.at_s = NOW_S + 300;
    assert_ok(planned(NULL));
    assert_int_equal(plan.not_before, NOW_S + 300);
    wish.at_s = NOW_S + 299;
    plan.earliest_s = 0;
    assert_fails(planned(NULL), E_INVALID);
    assert_int_equal(plan.earliest_s, NOW_S + 300);
    wish.at_s = (int64_t)NOW_S + RING_HORIZON_S;
    assert_ok(planned(NULL));
    wish.at_s++;
    assert_fails(planned(NULL), E_INVALID);
}

static void test_plan_empty_ring_is_refused(void **state)
{
    (void)state;
    nothing_listed();
    assert_refused(NULL, E_NOT_FOUND, ROTATE_EMPTY);
    wish.now = true;
    assert_refused(NULL, E_NOT_FOUND, ROTATE_EMPTY);
}

/* init refuses a ring that exists: here the way must go on, or it leads in a circle. */
static void test_plan_only_unusable_keys_makes_a_good_one(void **state)
{
    (void)state;
    key.verdict = RING_BAD;
    assert_ok(planned(NULL));
    assert_int_equal(plan.not_before, NOW_S + 300);
    assert_refused(&memory, E_NOT_FOUND, ROTATE_LOST);
    nothing_listed();
    facts.broken_labels = 1;
    assert_ok(planned(NULL));
}

static void test_plan_only_unreadable_keys_asks_for_now(void **state)
{
    (void)state;
    key.verdict = RING_UNKNOWN;
    facts.unnamed = 1;
    assert_refused(NULL, E_UNAVAILABLE, ROTATE_UNREADABLE);
    assert_refused(&memory, E_UNAVAILABLE, ROTATE_UNREADABLE);
    wish.now = true;
    assert_ok(planned(NULL));
    assert_ok(planned(&memory));
}

static void test_plan_keys_that_all_lie_ahead_are_a_question_to_the_clock(void **state)
{
    (void)state;
    key =
        (struct ring_key){.not_before = NOW_S + 900, .created = NOW_S + 900, .verdict = RING_GOOD};
    wish.now = true;
    assert_refused(NULL, E_STATE, ROTATE_ALL_AHEAD);
    wish.clock_is_right = true;
    assert_ok(planned(NULL));
}

static void test_plan_lost_kek_needs_now_and_ranks_above_the_memory(void **state)
{
    (void)state;
    nothing_listed();
    memory.not_before = NOW_S + 5;
    assert_refused(&memory, E_NOT_FOUND, ROTATE_LOST);
    wish.now = true;
    assert_ok(planned(&memory));
    assert_int_equal(plan.floor_s, NOW_S + 6);
}

static void test_plan_memory_above_an_older_selected_key_counts(void **state)
{
    (void)state;
    memory.not_before = NOW_S + 1000;
    assert_ok(planned(&memory));
    assert_int_equal(plan.not_before, NOW_S + 1001);
    memory.not_before = NOW_S - 200;
    assert_ok(planned(&memory));
    assert_int_equal(plan.not_before, NOW_S + 300);
}

static void test_plan_doubtful_clock_wants_a_word(void **state)
{
    (void)state;
    key.created = NOW_S - 400u * 86400u - 1;
    key.not_before = key.created;
    assert_refused(NULL, E_STATE, ROTATE_CLOCK_DOUBT);
    wish.clock_is_right = true;
    assert_ok(planned(NULL));
    wish.clock_is_right = false;
    key.created++;
    assert_ok(planned(NULL));
}

#define FRESH(test_) cmocka_unit_test_setup(test_, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(test_plan_gives_the_configured_notice),
        FRESH(test_plan_ranks_above_a_selected_key_that_is_newer),
        FRESH(test_plan_with_nothing_readable_is_another_try_and_no_new_ring),
        FRESH(test_plan_now_leaves_the_time_to_the_token),
        FRESH(test_plan_at_earlier_than_the_notice_or_beyond_the_horizon_is_refused),
        FRESH(test_plan_ranks_above_what_is_staged),
        FRESH(test_plan_empty_ring_is_refused),
        FRESH(test_plan_only_unusable_keys_makes_a_good_one),
        FRESH(test_plan_only_unreadable_keys_asks_for_now),
        FRESH(test_plan_keys_that_all_lie_ahead_are_a_question_to_the_clock),
        FRESH(test_plan_lost_kek_needs_now_and_ranks_above_the_memory),
        FRESH(test_plan_memory_above_an_older_selected_key_counts),
        FRESH(test_plan_doubtful_clock_wants_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
