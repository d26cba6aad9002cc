/* Logins that are cut short, end in errors, or meet a stop. */
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "pkcs11/lost.h"
#include "tests/kit/unit.h"
#include "tests/token/pin_fixture.h"

static void test_login_killed_after_success_leaves_no_doubt(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        rig_start_ready(fixture->rig);
        rig_shim(fixture->rig, "C_GenerateRandom crash\n");
        struct ipc_random ask = {.n = 8};
        struct rig_reply reply;
        assert_false(rig_call(fixture->rig, IPC_RANDOM, span_of(&ask, sizeof(ask)), &reply));
        assert_int_not_equal(rig_wait_end(fixture->rig, 5000), 0);
        rig_shim(fixture->rig, NULL);
    }
    rig_start_ready(fixture->rig);
}

static void test_login_killed_inside_twice_is_not_tried_again_and_says_why(void **state)
{
    struct fixture *fixture = *state;
    rig_shim(fixture->rig, "C_Login crash\n");
    for (int i = 0; i < 2; i++) {
        rig_start(fixture->rig);
        assert_int_not_equal(rig_wait_end(fixture->rig, 15000), 0);
    }
    rig_shim(fixture->rig, NULL);
    for (int i = 0; i < 2; i++) {
        rig_start(fixture->rig);
        struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
        assert_non_null(strstr(status.text, "were cut short"));
        assert_null(strstr(status.text, "refused"));
        (void)rig_stop(fixture->rig);
    }
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
}

/* A PIN that has succeeded here waits, and needs no command. */
static void test_login_killed_inside_with_a_proven_pin_only_pauses(void **state)
{
    struct fixture *fixture = *state;
    succeed_once(fixture);
    rig_shim(fixture->rig, "C_Login crash\n");
    for (int i = 0; i < 2; i++) {
        rig_start(fixture->rig);
        assert_int_not_equal(rig_wait_end(fixture->rig, 60000), 0);
    }
    rig_shim(fixture->rig, NULL);
    rig_start(fixture->rig);
    wait_text(fixture, "tried again by itself");
    assert_int_equal(record_of(fixture).token.cut, 2);
}

/* This token is known to count at once: while its flags are clean, no cut login was wrong. */
static void test_login_killed_inside_on_a_token_that_tells_goes_on(void **state)
{
    struct fixture *fixture = *state;
    refuse_once(fixture);
    rig_write(fixture->rig, "token/pin", fixture->right);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 10000);
    (void)rig_stop(fixture->rig);
    rig_write(fixture->rig, "token/pin", fixture->right); /* so that it counts as another */
    rig_shim(fixture->rig, "C_Login crash\n");
    for (int i = 0; i < 5; i++) {
        rig_start(fixture->rig);
        assert_int_not_equal(rig_wait_end(fixture->rig, 60000), 0);
    }
    rig_shim(fixture->rig, NULL);
    rig_start_ready(fixture->rig);
}

static void
test_login_wrong_and_its_answer_lost_is_not_sent_again_by_a_token_that_tells(void **state)
{
    struct fixture *fixture = *state;
    succeed_once(fixture);
    rig_write(fixture->rig, "token/pin", "wrong-pin\n");
    rig_shim(fixture->rig, "C_Login then-crash\n");
    rig_start(fixture->rig);
    assert_int_not_equal(rig_wait_end(fixture->rig, 60000), 0);
    rig_shim(fixture->rig, NULL);
    rig_start(fixture->rig);
    wait_text(fixture, "counts wrong PINs");
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
}

static void test_login_token_error_is_tried_again_for_a_proven_pin(void **state)
{
    struct fixture *fixture = *state;
    succeed_once(fixture);
    rig_shim(fixture->rig, "C_Login rv 0x30\n");
    rig_start(fixture->rig);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_NO_TOKEN, 15000);
    rig_shim(fixture->rig, NULL);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 10000);
}

/*
 * A module that shares logins among processes: whatever stands in the PIN file, C_Login has no word
 * about it.
 */
static void test_login_of_somebody_else_proves_no_pin(void **state)
{
    struct fixture *fixture = *state;
    rig_write(fixture->rig, "token/pin", "wrong-pin\n");
    rig_shim(fixture->rig, "C_Login rv 0x100\n");
    rig_start_ready(fixture->rig);
    struct pin_record record = record_of(fixture);
    assert_false(record.token.known || record.token.good.known || record.token.pending);
}

/*
 * An ordinary stop may come at any time of a login, and must not cost another try at the next
 * start.
 */
static void test_login_told_to_stop_inside_writes_down_the_answer(void **state)
{
    struct fixture *fixture = *state;
    rig_write(fixture->rig, "token/pin", "wrong-pin\n");
    rig_shim(fixture->rig, "C_Login delay 500\n");
    rig_start(fixture->rig);
    wait_logins(fixture, 1);
    assert_int_equal(kill(fixture->rig->pid, SIGTERM), 0);
    assert_int_equal(rig_wait_end(fixture->rig, 60000), 0);
    assert_int_equal(record_of(fixture).failed_n, 1);
}

/* As long as start_timeout allows: 20 s here. */
static void test_login_that_is_slow_is_waited_for_by_a_stop(void **state)
{
    struct fixture *fixture = *state;
    rig_shim(fixture->rig, "C_Login delay 8000\n");
    rig_start(fixture->rig);
    wait_logins(fixture, 1);
    assert_int_equal(kill(fixture->rig->pid, SIGTERM), 0);
    assert_int_equal(rig_wait_end(fixture->rig, 60000), 0);
    struct pin_record record = record_of(fixture);
    assert_true(record.token.known);
    assert_false(record.token.pending);
}

static void test_login_that_hangs_holds_up_a_stop_no_longer_than_a_start(void **state)
{
    struct fixture *fixture = *state;
    fixture->rig->config.tokens[0].start_timeout_s = 3;
    rig_shim(fixture->rig, "C_Login hang\n");
    rig_start(fixture->rig);
    wait_logins(fixture, 1);
    assert_int_equal(kill(fixture->rig->pid, SIGTERM), 0);
    assert_int_equal(rig_wait_end(fixture->rig, 60000), TOKEN_EXIT_HUNG);
}

static void test_login_lock_that_is_not_given_back_is_said_and_waited_for(void **state)
{
    struct fixture *fixture = *state;
    int lock_fd = -1;
    assert_ok(state_open_pin_lock(&fixture->rig->state, &lock_fd));
    assert_int_equal(flock(lock_fd, LOCK_EX), 0);
    fixture->rig->config.tokens[0].start_timeout_s = 6;
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "pin.lock"));
    assert_int_equal(status.logins, 0);
    (void)close(lock_fd);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 10000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

/* Who only waits for the lock has no login under way. */
static void test_login_that_waits_for_the_lock_does_not_hold_up_a_stop(void **state)
{
    struct fixture *fixture = *state;
    int lock_fd = -1;
    assert_ok(state_open_pin_lock(&fixture->rig->state, &lock_fd));
    assert_int_equal(flock(lock_fd, LOCK_EX), 0);
    fixture->rig->config.tokens[0].start_timeout_s = 600;
    rig_start(fixture->rig);
    while (rig_shim_count(fixture->rig, "C_OpenSession") == 0) {
        (void)rig_status(fixture->rig);
        usleep(20 * 1000);
    }
    assert_int_equal(kill(fixture->rig->pid, SIGTERM), 0);
    assert_int_equal(rig_wait_end(fixture->rig, 60000), 0);
    (void)close(lock_fd);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_login_killed_after_success_leaves_no_doubt),
        WITH_TOKEN(test_login_killed_inside_twice_is_not_tried_again_and_says_why),
        WITH_TOKEN(test_login_killed_inside_with_a_proven_pin_only_pauses),
        WITH_TOKEN(test_login_killed_inside_on_a_token_that_tells_goes_on),
        WITH_TOKEN(test_login_wrong_and_its_answer_lost_is_not_sent_again_by_a_token_that_tells),
        WITH_TOKEN(test_login_token_error_is_tried_again_for_a_proven_pin),
        WITH_TOKEN(test_login_of_somebody_else_proves_no_pin),
        WITH_TOKEN(test_login_told_to_stop_inside_writes_down_the_answer),
        WITH_TOKEN(test_login_that_is_slow_is_waited_for_by_a_stop),
        WITH_TOKEN(test_login_that_hangs_holds_up_a_stop_no_longer_than_a_start),
        WITH_TOKEN(test_login_lock_that_is_not_given_back_is_said_and_waited_for),
        WITH_TOKEN(test_login_that_waits_for_the_lock_does_not_hold_up_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
