/* The PIN guard and wrong PINs, on a SoftHSM token behind the shim, which counts the logins. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/unit.h"
#include "tests/token/pin_fixture.h"

static void test_login_wrong_pin_over_20_starts_is_one_login(void **state)
{
    struct fixture *fixture = *state;
    refuse_once(fixture);
    for (int i = 0; i < 20; i++) {
        (void)rig_stop(fixture->rig);
        rig_start(fixture->rig);
        struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
        assert_int_equal(status.logins, 0);
    }
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

static void test_login_corrected_pin_is_ready_within_5_s(void **state)
{
    struct fixture *fixture = *state;
    refuse_once(fixture);
    rig_write(fixture->rig, "token/pin", fixture->right);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_READY, 5000);
    assert_int_equal(status.logins, 2);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
}

static void test_login_file_touched_with_the_same_wrong_pin_is_not_tried(void **state)
{
    struct fixture *fixture = *state;
    refuse_once(fixture);
    rig_write(fixture->rig, "token/pin", "wrong-pin\n");
    wait_text(fixture, "refused this PIN before"); /* it has looked into the touched file */
    rig_serve(fixture->rig, 1500);
    assert_int_equal(rig_status(fixture->rig).phase, IPC_PHASE_PIN);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

static void test_login_emptied_record_orders_one_more_try(void **state)
{
    struct fixture *fixture = *state;
    refuse_once(fixture);
    rig_write(fixture->rig, record_name(fixture), "");
    wait_logins(fixture, 2);
    wait_refused(fixture);
    rig_serve(fixture->rig, 2500); /* it looks each second whether to try again */
    (void)rig_status(fixture->rig);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
}

static void test_login_count_low_of_others_waits_for_an_order(void **state)
{
    struct fixture *fixture = *state;
    rig_write(fixture->rig, "token/pin", "somebody-else\n");
    rig_start(fixture->rig);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    (void)rig_stop(fixture->rig);
    /* As on another node: the token counts a wrong PIN that this record does not know. */
    char record[256];
    rig_path(fixture->rig, record_name(fixture), record, sizeof(record));
    assert_int_equal(unlink(record), 0);
    rig_write(fixture->rig, "token/pin", fixture->right);
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_int_equal(status.logins, 0);
    assert_non_null(strstr(status.text, "pin-retry"));
    rig_write(fixture->rig, record_name(fixture), "");
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 5000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
}

static void test_login_order_given_while_down_is_carried_out_once(void **state)
{
    struct fixture *fixture = *state;
    refuse_once(fixture);
    (void)rig_stop(fixture->rig);
    rig_write(fixture->rig, record_name(fixture), "");
    for (int i = 0; i < 2; i++) {
        rig_start(fixture->rig);
        (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
        (void)rig_stop(fixture->rig);
    }
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
}

/*
 * That it failed is stored before its hash is computed, so that a kill meanwhile costs no second
 * try.
 */
static void test_login_refusal_is_stored_before_its_hash(void **state)
{
    struct fixture *fixture = *state;
    rig_write(fixture->rig, "token/pin", "wrong-pin\n");
    fixture->rig->kill_at_put = 2; /* the first is the login that begins */
    rig_start(fixture->rig);
    assert_int_not_equal(rig_wait_end(fixture->rig, 60000), 0);
    struct pin_record record = record_of(fixture);
    assert_int_equal(record.failed_n, 1);
    assert_false(record.failed[0].has_hash);
    fixture->rig->kill_at_put = 0;
    rig_start(fixture->rig);
    wait_text(fixture, "refused this PIN before");
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
    record = record_of(fixture);
    assert_true(record.failed[0].has_hash);
}

/* The token counts it, and only its answer is strange. */
static void test_login_wrong_pin_told_by_another_code_is_sent_once(void **state)
{
    struct fixture *fixture = *state;
    rig_shim(fixture->rig, "C_Login then-rv 0x30\n");
    refuse_once(fixture);
    for (int i = 0; i < 3; i++) {
        (void)rig_stop(fixture->rig);
        rig_start(fixture->rig);
        (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    }
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

static void test_login_good_pin_leaves_nothing_to_test_it_by(void **state)
{
    struct fixture *fixture = *state;
    char text[PIN_RECORD_BYTES] = "";
    refuse_once(fixture);
    rig_write(fixture->rig, "token/pin", fixture->right);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 5000);
    struct pin_record record = record_of(fixture);
    assert_int_equal(record.failed_n, 0);
    assert_true(record.token.known && record.token.good.known && record.token.reports);
    assert_false(record.token.pending);
    /* Salt, serial and numbers: nothing is as long as a hash. */
    rig_read(fixture->rig, record_name(fixture), text, sizeof(text));
    assert_null(strstr(text, fixture->right));
    for (const char *word = text; *word != '\0'; word += strcspn(word, " =\n") + 1) {
        assert_true(strcspn(word, " =\n") < 2 * PIN_RECORD_HASH);
    }
}

static void test_login_count_low_of_others_does_not_stop_a_proven_pin(void **state)
{
    struct fixture *fixture = *state;
    succeed_once(fixture);
    char path[256];
    char aside[256];
    rig_path(fixture->rig, record_name(fixture), path, sizeof(path));
    rig_path(fixture->rig, "aside", aside, sizeof(aside));
    /* Somebody else, with a file and a record of his own. */
    char own[256];
    rig_path(fixture->rig, "token/pin", own, sizeof(own));
    assert_int_equal(rename(path, aside), 0);
    rig_write(fixture->rig, "token/others", "wrong-pin\n");
    rig_path(fixture->rig, "token/others", fixture->rig->config.tokens[0].pin_file,
             CONFIG_PATH_LEN);
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "refused the PIN")); /* so that the token counts it */
    (void)rig_stop(fixture->rig);
    assert_int_equal(rename(aside, path), 0);
    (void)snprintf(fixture->rig->config.tokens[0].pin_file, CONFIG_PATH_LEN, "%s", own);
    rig_start_ready(fixture->rig);
}

/* Only this process knows better than the disk that a PIN which had worked was refused. */
static void test_login_refusal_that_cannot_be_kept_is_not_tried_again(void **state)
{
    struct fixture *fixture = *state;
    succeed_once(fixture);
    rig_shim(fixture->rig, "C_Login rv 0xa0\n");
    block_state(fixture);
    rig_start(fixture->rig);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    unblock_state(fixture);
    for (int i = 0; i < 40; i++) {
        (void)rig_status(fixture->rig);
        usleep(100 * 1000);
    }
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
    assert_non_null(strstr(rig_status(fixture->rig).text, "refused"));
}

static void test_login_without_a_record_is_for_a_proven_pin_alone(void **state)
{
    struct fixture *fixture = *state;
    block_state(fixture);
    rig_start(fixture->rig);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    wait_text(fixture, "the record of logins: ");
    wait_text(fixture, "Is a directory");
    wait_text(fixture, fixture->rig->config.state_dir);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 0);
    unblock_state(fixture);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 10000);
    (void)rig_stop(fixture->rig);
    block_state(fixture);
    rig_start_ready(fixture->rig);
    unblock_state(fixture);
}

static void test_login_damaged_record_costs_at_most_one_more_try(void **state)
{
    struct fixture *fixture = *state;
    char big[9000];
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    rig_write(fixture->rig, "state/pin", big);
    rig_shim(fixture->rig, "C_Login crash\n");
    rig_start(fixture->rig);
    assert_int_not_equal(rig_wait_end(fixture->rig, 15000), 0);
    rig_start(fixture->rig);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_login_wrong_pin_over_20_starts_is_one_login),
        WITH_TOKEN(test_login_corrected_pin_is_ready_within_5_s),
        WITH_TOKEN(test_login_file_touched_with_the_same_wrong_pin_is_not_tried),
        WITH_TOKEN(test_login_emptied_record_orders_one_more_try),
        WITH_TOKEN(test_login_count_low_of_others_waits_for_an_order),
        WITH_TOKEN(test_login_order_given_while_down_is_carried_out_once),
        WITH_TOKEN(test_login_refusal_is_stored_before_its_hash),
        WITH_TOKEN(test_login_wrong_pin_told_by_another_code_is_sent_once),
        WITH_TOKEN(test_login_good_pin_leaves_nothing_to_test_it_by),
        WITH_TOKEN(test_login_count_low_of_others_does_not_stop_a_proven_pin),
        WITH_TOKEN(test_login_refusal_that_cannot_be_kept_is_not_tried_again),
        WITH_TOKEN(test_login_without_a_record_is_for_a_proven_pin_alone),
        WITH_TOKEN(test_login_damaged_record_costs_at_most_one_more_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
