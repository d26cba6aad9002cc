#include "server/health/health.h"

#include "tests/kit/unit.h"

#define MIN_MS INT64_C(60000)

static const struct health_policy coast = {.coast_ms = 60 * MIN_MS, .soft_ms = 24 * 60 * MIN_MS};
static const struct health_policy soft = {.coast_ms = 0, .soft_ms = 24 * 60 * MIN_MS};
static const struct health_policy hard = {.coast_ms = 0, .soft_ms = 0, .hard_on_loss = true};

static struct health_facts proven(int64_t age_ms)
{
    return (struct health_facts){
        .proof_age_ms = age_ms, .key_remembered = true, .outage_remembered_ms = -1};
}

static enum health_state at(const struct health_policy *policy, int64_t age_ms)
{
    struct health_facts facts = proven(age_ms);
    return health_evaluate(policy, &facts);
}

static void test_evaluate_coast_policy_at_each_border(void **state)
{
    (void)state;
    assert_int_equal(at(&coast, -1), HEALTH_START);
    assert_int_equal(at(&coast, 0), HEALTH_OK);
    assert_int_equal(at(&coast, MIN_MS - 1), HEALTH_OK);
    assert_int_equal(at(&coast, MIN_MS), HEALTH_COAST);
    assert_int_equal(at(&coast, 60 * MIN_MS - 1), HEALTH_COAST);
    assert_int_equal(at(&coast, 60 * MIN_MS), HEALTH_SOFT);
    assert_int_equal(at(&coast, 25 * 60 * MIN_MS - 1), HEALTH_SOFT);
    assert_int_equal(at(&coast, 25 * 60 * MIN_MS), HEALTH_HARD);
}

static void test_evaluate_soft_policy_has_no_coast(void **state)
{
    (void)state;
    assert_int_equal(at(&soft, MIN_MS - 1), HEALTH_OK);
    assert_int_equal(at(&soft, MIN_MS), HEALTH_SOFT);
    assert_int_equal(at(&soft, 24 * 60 * MIN_MS), HEALTH_HARD);
}

static void test_evaluate_hard_policy_stops_60_s_after_the_last_proof(void **state)
{
    (void)state;
    assert_int_equal(at(&hard, 0), HEALTH_OK);
    assert_int_equal(at(&hard, MIN_MS - 1), HEALTH_OK);
    assert_int_equal(at(&hard, MIN_MS), HEALTH_HARD);
}

static void test_evaluate_verdict_and_memory_win_over_a_fresh_proof(void **state)
{
    (void)state;
    struct health_facts facts = proven(0);
    facts.bad_verdict = true;
    assert_int_equal(health_evaluate(&coast, &facts), HEALTH_HARD);
    facts = proven(-1);
    facts.hard_remembered = true;
    assert_int_equal(health_evaluate(&coast, &facts), HEALTH_HARD);
    facts = proven(0);
    facts.older_than_remembered = true;
    assert_int_equal(health_evaluate(&coast, &facts), HEALTH_START);
}

static void test_status_answer_start_needs_a_key_to_name_and_a_young_outage(void **state)
{
    (void)state;
    struct health_facts facts = proven(-1);
    assert_int_equal(health_status_answer(HEALTH_START, &coast, &facts, false), HEALTH_SAY_TEXT);
    assert_int_equal(health_status_answer(HEALTH_START, &hard, &facts, false),
                     HEALTH_SAY_UNAVAILABLE);
    facts.outage_remembered_ms = 25 * 60 * MIN_MS - 1;
    assert_int_equal(health_status_answer(HEALTH_START, &coast, &facts, false), HEALTH_SAY_TEXT);
    facts.outage_remembered_ms = 25 * 60 * MIN_MS;
    assert_int_equal(health_status_answer(HEALTH_START, &coast, &facts, false),
                     HEALTH_SAY_UNAVAILABLE);
    facts = proven(-1);
    facts.key_remembered = false;
    assert_int_equal(health_status_answer(HEALTH_START, &coast, &facts, false),
                     HEALTH_SAY_UNAVAILABLE);
}

static void test_status_answer_soft_is_ok_for_legacy_peers_only(void **state)
{
    (void)state;
    struct health_facts facts = proven(0);
    assert_int_equal(health_status_answer(HEALTH_OK, &coast, &facts, false), HEALTH_SAY_OK);
    assert_int_equal(health_status_answer(HEALTH_COAST, &coast, &facts, false), HEALTH_SAY_OK);
    assert_int_equal(health_status_answer(HEALTH_SOFT, &coast, &facts, false), HEALTH_SAY_TEXT);
    assert_int_equal(health_status_answer(HEALTH_SOFT, &coast, &facts, true), HEALTH_SAY_OK);
    assert_int_equal(health_status_answer(HEALTH_HARD, &coast, &facts, true), HEALTH_SAY_FAILED);
}

static void test_encrypt_answer_and_names_of_each_state(void **state)
{
    (void)state;
    assert_int_equal(health_encrypt_answer(HEALTH_START), HEALTH_ENCRYPT_WAITS);
    assert_int_equal(health_encrypt_answer(HEALTH_OK), HEALTH_ENCRYPT);
    assert_int_equal(health_encrypt_answer(HEALTH_COAST), HEALTH_ENCRYPT);
    assert_int_equal(health_encrypt_answer(HEALTH_SOFT), HEALTH_ENCRYPT);
    assert_int_equal(health_encrypt_answer(HEALTH_HARD), HEALTH_ENCRYPT_REFUSED);
    assert_string_equal(health_state_name(HEALTH_START), "START");
    assert_string_equal(health_state_name(HEALTH_HARD), "HARD");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluate_coast_policy_at_each_border),
        cmocka_unit_test(test_evaluate_soft_policy_has_no_coast),
        cmocka_unit_test(test_evaluate_hard_policy_stops_60_s_after_the_last_proof),
        cmocka_unit_test(test_evaluate_verdict_and_memory_win_over_a_fresh_proof),
        cmocka_unit_test(test_status_answer_start_needs_a_key_to_name_and_a_young_outage),
        cmocka_unit_test(test_status_answer_soft_is_ok_for_legacy_peers_only),
        cmocka_unit_test(test_encrypt_answer_and_names_of_each_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
