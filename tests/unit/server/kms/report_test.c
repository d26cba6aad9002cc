#include "server/kms/report.h"

#include <stdio.h>
#include <string.h>

#include "base/state.h"
#include "tests/kit/heard_log.h"
#include "tests/kit/unit.h"

#define KEY_ID "p11k:00000000000000000000000000000007:00000010"

static const struct config config = {.ring = "prod", .tokens[0].name = "hsm"};
static struct ipc_status token;
static struct rotation_view view;
static struct report_facts facts;
static struct report report;
static struct times now;

static unsigned offers;
static struct state_health record; /* what was put last */
static unsigned lines;
static char line[256];

static bool put_state(void *ctx, enum state_file file, struct span bytes)
{
    (void)ctx;
    assert_int_equal(file, STATE_HEALTH);
    assert_ok(state_health_parse(bytes, &record));
    offers++;
    return true;
}

static void on_line(void *ctx, const char *text)
{
    (void)ctx;
    (void)snprintf(line, sizeof(line), "%s", text);
    lines++;
}

/* All is well: a KEK serves and is proven. */
static int setup(void **state)
{
    (void)state;
    const struct kms_outputs outputs = {.put_state = put_state, .on_line = on_line};
    token = (struct ipc_status){.phase = IPC_PHASE_READY};
    view = (struct rotation_view){.has_serving = true};
    facts = (struct report_facts){.mend = {.config = &config,
                                           .token = &token,
                                           .view = &view,
                                           .state = HEALTH_OK,
                                           .refused = "",
                                           .unread = "",
                                           .storing = ""},
                                  .key_id = KEY_ID};
    now = (struct times){.real_s = 5000, .boot_ms = 100000};
    offers = lines = 0;
    heard_log_clear();
    report_init(&report, &outputs);
    return 0;
}

static void tick_after(int64_t ms)
{
    now.boot_ms += ms;
    now.real_s += ms / 1000;
    report_tick(&report, &facts, now);
}

static void tick_as(enum health_state state)
{
    facts.mend.state = state;
    tick_after(0);
}

static void test_first_state_is_said_written_and_a_line(void **state)
{
    (void)state;
    tick_as(HEALTH_OK);
    assert_int_equal(heard_log_count("state-changed", "-"), 1);
    assert_string_equal(line, "OK: serving " KEY_ID);
    assert_int_equal(offers, 1);
    assert_string_equal(record.state, "OK");
    assert_string_equal(record.key_id, KEY_ID);
    assert_string_equal(record.mend, "");
    assert_int_equal(record.since_s, 5000);
    assert_int_equal(record.outage_s, 0);
}

static void test_nothing_new_is_written_every_20_s_and_not_said(void **state)
{
    (void)state;
    tick_as(HEALTH_OK);
    tick_after(19999);
    assert_int_equal(offers, 1);
    tick_after(1);
    assert_int_equal(offers, 2);
    assert_int_equal(record.written_s, now.real_s);
    assert_int_equal(record.since_s, 5000);
    assert_int_equal(lines, 1);
    assert_int_equal(heard_log_count("state-changed", NULL), 1);
}

static void test_other_state_is_said_and_written_at_once(void **state)
{
    (void)state;
    tick_as(HEALTH_OK);
    facts.proof_age_ms = 70000;
    tick_as(HEALTH_COAST);
    assert_int_equal(heard_log_count("state-changed", "COAST"), 1);
    assert_int_equal(heard_log_count("mend", NULL), 0); /* it stands in that line */
    assert_int_equal(offers, 2);
    assert_string_equal(record.state, "COAST");
    assert_string_not_equal(record.mend, "");
    assert_string_equal(record.mend, report.mend);
    assert_int_equal(record.outage_s, now.real_s - 70);
    assert_memory_equal(line, "COAST: ", 7);
}

static void test_other_mend_is_said_at_once_and_written_within_a_second(void **state)
{
    (void)state;
    tick_as(HEALTH_OK);
    facts.mend.storing = "/state: full";
    tick_after(999);
    assert_int_equal(heard_log_count("mend", "/state: full"), 1);
    assert_string_equal(line, "OK: /state: full");
    assert_int_equal(offers, 1);
    tick_after(1);
    assert_int_equal(offers, 2);
    assert_string_equal(record.mend, "/state: full");
    facts.mend.storing = "";
    tick_after(1000);
    assert_int_equal(offers, 3);
    assert_string_equal(record.mend, "");
    assert_int_equal(heard_log_count("mend", NULL), 1); /* its end is no line */
}

static void test_words_of_the_token_process_are_in_the_log_already(void **state)
{
    (void)state;
    facts.proof_age_ms = 70000;
    tick_as(HEALTH_COAST);
    token = (struct ipc_status){.phase = IPC_PHASE_PIN, .text = "write the right PIN"};
    tick_after(1000);
    assert_string_equal(record.mend, "write the right PIN");
    assert_int_equal(heard_log_count("mend", NULL), 0);
}

static void test_other_key_id_is_a_line_and_written_within_a_second(void **state)
{
    (void)state;
    tick_as(HEALTH_OK);
    facts.key_id = "p11k:00000000000000000000000000000008:00000020";
    tick_after(1000);
    assert_string_equal(line, "OK: serving p11k:00000000000000000000000000000008:00000020");
    assert_string_equal(record.key_id, facts.key_id);
    assert_int_equal(offers, 2);
}

static void test_line_is_cut_between_characters(void **state)
{
    (void)state;
    char text[MEND_MAX];
    memset(text, 'x', sizeof(text));
    (void)snprintf(text + 239, sizeof(text) - 239, "\xc3\xa9 and more");
    facts.mend.storing = text;
    tick_as(HEALTH_OK);
    assert_int_equal(strlen(line), strlen("OK: ") + 239);
}

static void test_folder_that_is_new_gets_the_health_within_a_second(void **state)
{
    (void)state;
    tick_as(HEALTH_OK);
    report_rewrite(&report);
    tick_after(1000);
    assert_int_equal(offers, 2);
}

static void test_alarm_is_said_when_it_begins(void **state)
{
    (void)state;
    tick_as(HEALTH_OK);
    view.alarm_horizon = true;
    tick_after(1);
    tick_after(1);
    assert_int_equal(heard_log_count("alarm", NULL), 1);
    view.alarm_unproven = true;
    tick_after(1);
    assert_int_equal(heard_log_count("alarm", NULL), 2);
    view.alarm_horizon = false;
    tick_after(1);
    view.alarm_horizon = true;
    tick_after(1);
    assert_int_equal(heard_log_count("alarm", NULL), 3);
}

static void test_every_alarm_has_its_words(void **state)
{
    (void)state;
    view.alarm_unproven = view.alarm_horizon = view.alarm_unknown_above = view.clock_suspect = true;
    tick_as(HEALTH_OK);
    assert_int_equal(heard_log_count("alarm", "the selected KEK could not be proven for 60 s"), 1);
    assert_int_equal(
        heard_log_count("alarm", "a KEK is ignored: its not-before is more than 32 days ahead"), 1);
    assert_int_equal(
        heard_log_count("alarm", "a KEK that could not be read ranks above the best readable one"),
        1);
    assert_int_equal(
        heard_log_count("alarm", "every KEK of the ring becomes active only in the future"), 1);
}

static void remember(const char *name, int64_t outage_s)
{
    struct state_health before = {.outage_s = outage_s, .since_s = 1, .written_s = 2};
    uint8_t room[1024];
    size_t len = 0;
    (void)snprintf(before.state, sizeof(before.state), "%s", name);
    assert_ok(state_health_write(&before, span_mut_of(room, sizeof(room)), &len));
    report_remember(&report, span_of(room, len));
}

static void test_hard_is_remembered_until_a_proof(void **state)
{
    (void)state;
    remember("SOFT", 0);
    assert_false(report_health(&report, &view, -1, 5000).hard_remembered);
    remember("HARD", 4000);
    assert_true(report_health(&report, &view, -1, 5000).hard_remembered);
    report_proven(&report);
    assert_false(report_health(&report, &view, 0, 5000).hard_remembered);
}

static void test_outage_goes_on_across_a_restart_and_ends_with_ok(void **state)
{
    (void)state;
    assert_int_equal(report_health(&report, &view, -1, 5000).outage_remembered_ms, -1);
    remember("SOFT", 4000);
    assert_int_equal(report_health(&report, &view, -1, 5000).outage_remembered_ms, 1000000);
    facts.proof_age_ms = -1;
    tick_as(HEALTH_START);
    assert_int_equal(record.outage_s, 4000);
    tick_as(HEALTH_OK);
    assert_int_equal(record.outage_s, 0);
}

static void test_outage_without_any_proof_begins_with_this_process(void **state)
{
    (void)state;
    facts.proof_age_ms = -1;
    tick_as(HEALTH_START);
    tick_after(20000);
    assert_int_equal(record.outage_s, 5000);
}

static void test_file_that_does_not_parse_is_said_and_ignored(void **state)
{
    (void)state;
    report_remember(&report, span_of_text("p11-kms health 9\n"));
    assert_int_equal(heard_log_count("state-ignored", "health"), 1);
    assert_false(report_health(&report, &view, -1, 5000).hard_remembered);
}

static void test_health_sees_what_rotation_sees(void **state)
{
    (void)state;
    view.verdict = ROTATION_MISSING;
    view.older_than_remembered = view.has_remembered = true;
    struct health_facts health = report_health(&report, &view, 77, 5000);
    assert_int_equal(health.proof_age_ms, 77);
    assert_true(health.bad_verdict && health.older_than_remembered && health.key_remembered);
    view = (struct rotation_view){0};
    health = report_health(&report, &view, -1, 5000);
    assert_false(health.bad_verdict || health.older_than_remembered || health.key_remembered);
}

static void test_policy_of_each_way_to_lose_a_token(void **state)
{
    (void)state;
    struct config lossy = {.coast_s = 10, .soft_max_s = 20, .on_token_loss = CONFIG_LOSS_COAST};
    struct health_policy policy = report_policy(&lossy);
    assert_int_equal(policy.coast_ms, 10000);
    assert_int_equal(policy.soft_ms, 20000);
    assert_false(policy.hard_on_loss);
    lossy.on_token_loss = CONFIG_LOSS_SOFT;
    policy = report_policy(&lossy);
    assert_int_equal(policy.coast_ms, 0);
    assert_int_equal(policy.soft_ms, 20000);
    assert_false(policy.hard_on_loss);
    lossy.on_token_loss = CONFIG_LOSS_HARD;
    policy = report_policy(&lossy);
    assert_int_equal(policy.coast_ms + policy.soft_ms, 0);
    assert_true(policy.hard_on_loss);
}

#define REPORT_TEST(test_) cmocka_unit_test_setup(test_, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPORT_TEST(test_first_state_is_said_written_and_a_line),
        REPORT_TEST(test_nothing_new_is_written_every_20_s_and_not_said),
        REPORT_TEST(test_other_state_is_said_and_written_at_once),
        REPORT_TEST(test_other_mend_is_said_at_once_and_written_within_a_second),
        REPORT_TEST(test_words_of_the_token_process_are_in_the_log_already),
        REPORT_TEST(test_other_key_id_is_a_line_and_written_within_a_second),
        REPORT_TEST(test_line_is_cut_between_characters),
        REPORT_TEST(test_folder_that_is_new_gets_the_health_within_a_second),
        REPORT_TEST(test_alarm_is_said_when_it_begins),
        REPORT_TEST(test_every_alarm_has_its_words),
        REPORT_TEST(test_hard_is_remembered_until_a_proof),
        REPORT_TEST(test_outage_goes_on_across_a_restart_and_ends_with_ok),
        REPORT_TEST(test_outage_without_any_proof_begins_with_this_process),
        REPORT_TEST(test_file_that_does_not_parse_is_said_and_ignored),
        REPORT_TEST(test_health_sees_what_rotation_sees),
        REPORT_TEST(test_policy_of_each_way_to_lose_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
