#include "server/kms/mend.h"

#include <string.h>

#include "tests/kit/unit.h"

static const struct config config = {.ring = "prod", .tokens = {{.name = "main"}}, .tokens_n = 1};

static const char *say(enum health_state state, const struct rotation_view *view,
                       const struct ipc_status *token, const char *refused)
{
    static char text[MEND_MAX];
    const struct mend_facts facts = {&config, token, view, state, refused, "", NULL};
    mend_text(&facts, text, sizeof(text));
    return text;
}

static const struct ipc_status ready = {.phase = IPC_PHASE_READY, .token = "hsm-1"};

static void test_mend_ok_says_nothing(void **state)
{
    (void)state;
    const struct rotation_view view = {.has_serving = true};
    assert_string_equal(say(HEALTH_OK, &view, &ready, ""), "");
}

/*
 * Without its lock in the folder no token process starts: what the folder lacks is then the cause.
 */
static void
test_mend_folder_that_takes_nothing_is_told_in_state_ok_and_at_a_start(
    void **state)
{
    (void)state;
    char text[MEND_MAX];
    const struct rotation_view view = {.has_serving = true};
    const struct mend_ailments ailments = {.seed_outlived = true};
    struct ipc_status token = {.phase = IPC_PHASE_STARTING, .text = "it is started again"};
    struct mend_facts facts = {&config, &ready, &view, HEALTH_OK, "", "", "/state: gone"};
    mend_ailment(&facts, &ailments, text, sizeof(text));
    assert_string_equal(text, "/state: gone");
    facts.state = HEALTH_COAST;
    facts.token = &token;
    mend_text(&facts, text, sizeof(text));
    assert_string_equal(text, "/state: gone");
    token.phase = IPC_PHASE_PIN;
    mend_text(&facts, text, sizeof(text));
    assert_string_equal(text, "it is started again");
}

static void test_ailment_is_of_state_ok_only_and_the_older_seed_comes_first(void **state)
{
    (void)state;
    char text[MEND_MAX];
    const struct rotation_view view = {.has_serving = true};
    struct mend_facts facts = {&config, &ready, &view, HEALTH_OK, "", "", ""};
    struct mend_ailments ailments = {0};
    mend_ailment(&facts, &ailments, text, sizeof(text));
    assert_string_equal(text, "");
    ailments.listing_outlived = true;
    mend_ailment(&facts, &ailments, text, sizeof(text));
    assert_non_null(strstr(text, "keys of token hsm-1 cannot be listed"));
    ailments.seed_outlived = true;
    mend_ailment(&facts, &ailments, text, sizeof(text));
    assert_non_null(strstr(text, "older than seed_life: token hsm-1"));
    facts.state = HEALTH_COAST;
    mend_ailment(&facts, &ailments, text, sizeof(text));
    assert_string_equal(text, "");
}

static void test_mend_token_text_comes_before_the_ring(void **state)
{
    (void)state;
    const struct rotation_view view = {.ring_empty = true};
    const struct ipc_status absent = {.phase = IPC_PHASE_NO_TOKEN,
                                      .text = "no token \"x\"; there are: y"};
    const struct ipc_status silent = {.phase = IPC_PHASE_PIN};
    assert_string_equal(say(HEALTH_START, &view, &absent, ""), "no token \"x\"; there are: y");
    assert_non_null(strstr(say(HEALTH_START, &view, &silent, ""), "refused the PIN"));
}

static void test_mend_is_cut_between_characters(void **state)
{
    (void)state;
    char text[MEND_MAX];
    const struct rotation_view empty = {.ring_empty = true};
    const struct rotation_view fine = {.has_serving = true};
    const struct ipc_status token = {.phase = IPC_PHASE_READY,
                                     .token = "\xc3\xa4\xe2\x9c\x93\xf0\x9f\x94\x91"};
    const struct mend_ailments ailments = {.listing_outlived = true};
    struct mend_facts facts = {&config, &token, &empty, HEALTH_START, "", "", ""};
    for (size_t size = 1; size < 60; size++) {
        mend_text(&facts, text, size);
        assert_true(strlen(text) + 4 >= size && span_is_text(span_of_text(text)));
    }
    facts.view = &fine;
    facts.state = HEALTH_OK;
    for (size_t size = 1; size < 60; size++) {
        mend_ailment(&facts, &ailments, text, size);
        assert_true(strlen(text) + 4 >= size && span_is_text(span_of_text(text)));
    }
}

static void test_mend_empty_ring_names_ring_token_and_command(void **state)
{
    (void)state;
    const struct rotation_view view = {.ring_empty = true};
    assert_string_equal(say(HEALTH_START, &view, &ready, ""),
                        "no KEK of ring prod on token hsm-1: run p11-kmsctl init");
}

static void test_mend_each_verdict_has_its_text(void **state)
{
    (void)state;
    struct rotation_view view = {.has_serving = true, .serving = {.kek_id = {0xab}}};
    view.verdict = ROTATION_MISSING;
    assert_non_null(strstr(say(HEALTH_HARD, &view, &ready, ""), "KEK ab00"));
    assert_non_null(strstr(say(HEALTH_HARD, &view, &ready, ""), "no longer on token hsm-1"));
    view.verdict = ROTATION_CHANGED;
    assert_non_null(strstr(say(HEALTH_HARD, &view, &ready, ""), "is not the key that it was"));
    view.verdict = ROTATION_BAD;
    assert_non_null(strstr(say(HEALTH_HARD, &view, &ready, "KEK ab (CKA_SIGN)"), "CKA_SIGN"));
}

static void test_mend_future_keys_blame_the_clock(void **state)
{
    (void)state;
    const struct rotation_view view = {.clock_suspect = true};
    assert_non_null(strstr(say(HEALTH_START, &view, &ready, ""), "set the clock"));
}

static void test_mend_refused_attributes_are_named(void **state)
{
    (void)state;
    const struct rotation_view view = {0};
    assert_non_null(strstr(say(HEALTH_START, &view, &ready, "KEK ab (CKA_LOCAL)"), "CKA_LOCAL"));
}

static void test_mend_key_that_cannot_be_read_is_no_empty_ring_and_no_clock(void **state)
{
    (void)state;
    char text[MEND_MAX];
    struct rotation_view view = {.clock_suspect = true};
    struct mend_facts facts = {
        &config, &ready, &view, HEALTH_START, "", "p11k:prod:1:1 (CK_RV 0x30)", ""};
    mend_text(&facts, text, sizeof(text));
    assert_non_null(
        strstr(text, "a key of token hsm-1 cannot be read: p11k:prod:1:1 (CK_RV 0x30)"));
    view = (struct rotation_view){.has_serving = true, .verdict = ROTATION_MISSING};
    facts.state = HEALTH_HARD;
    mend_text(&facts, text, sizeof(text));
    assert_non_null(strstr(text, "is no longer on token"));
}

static void test_mend_old_proof_points_to_the_log(void **state)
{
    (void)state;
    const struct rotation_view view = {.has_serving = true};
    assert_non_null(strstr(say(HEALTH_COAST, &view, &ready, ""), "does not prove the KEK"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mend_ok_says_nothing),
        cmocka_unit_test(
            test_mend_folder_that_takes_nothing_is_told_in_state_ok_and_at_a_start),
        cmocka_unit_test(test_ailment_is_of_state_ok_only_and_the_older_seed_comes_first),
        cmocka_unit_test(test_mend_token_text_comes_before_the_ring),
        cmocka_unit_test(test_mend_is_cut_between_characters),
        cmocka_unit_test(test_mend_empty_ring_names_ring_token_and_command),
        cmocka_unit_test(test_mend_each_verdict_has_its_text),
        cmocka_unit_test(test_mend_future_keys_blame_the_clock),
        cmocka_unit_test(test_mend_refused_attributes_are_named),
        cmocka_unit_test(test_mend_key_that_cannot_be_read_is_no_empty_ring_and_no_clock),
        cmocka_unit_test(test_mend_old_proof_points_to_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
