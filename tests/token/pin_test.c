/* The PIN guard, on a SoftHSM token behind the shim, which counts the logins. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkcs11/lost.h"
#include "tests/kit/unit.h"
#include "tests/token/rig.h"

struct fixture {
    struct rig *rig;
    char right[64];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.rig = rig_new_softhsm();
    rig_use_shim(fixture.rig);
    rig_read(fixture.rig, "token/pin", fixture.right, sizeof(fixture.right));
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    rig_free(fixture->rig);
    return 0;
}

static void refuse_once(struct fixture *fixture)
{
    rig_write(fixture->rig, "token/pin", "wrong-pin\n");
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "correct"));
    assert_int_equal(status.logins, 1);
}

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
    usleep(3500 * 1000);
    assert_int_equal(rig_status(fixture->rig).phase, IPC_PHASE_PIN);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

static void test_login_emptied_record_orders_one_more_try(void **state)
{
    struct fixture *fixture = *state;
    refuse_once(fixture);
    rig_write(fixture->rig, "state/pin", "");
    for (int i = 0; i < 40 && rig_shim_count(fixture->rig, "C_Login") < 2; i++) {
        (void)rig_status(fixture->rig);
        usleep(100 * 1000);
    }
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 5000);
    usleep(2500 * 1000);
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
    rig_path(fixture->rig, "state/pin", record, sizeof(record));
    assert_int_equal(unlink(record), 0);
    rig_write(fixture->rig, "token/pin", fixture->right);
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_int_equal(status.logins, 0);
    assert_non_null(strstr(status.text, "pin-retry"));
    rig_write(fixture->rig, "state/pin", "");
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 5000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
}

static void test_login_order_given_while_down_is_carried_out_once(void **state)
{
    struct fixture *fixture = *state;
    refuse_once(fixture);
    (void)rig_stop(fixture->rig);
    rig_write(fixture->rig, "state/pin", "");
    for (int i = 0; i < 2; i++) {
        rig_start(fixture->rig);
        (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
        (void)rig_stop(fixture->rig);
    }
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
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

static void test_login_good_pin_leaves_a_good_record(void **state)
{
    struct fixture *fixture = *state;
    char record[1024] = "";
    rig_start_ready(fixture->rig);
    for (int i = 0; i < 50 && strstr(record, " good ") == NULL; i++) {
        (void)rig_status(fixture->rig);
        usleep(100 * 1000);
        rig_read(fixture->rig, "state/pin", record, sizeof(record));
    }
    assert_non_null(strstr(record, " good "));
    assert_null(strstr(record, "intent"));
    assert_null(strstr(record, fixture->right));
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

static void test_login_token_error_is_tried_again_for_a_proven_pin(void **state)
{
    struct fixture *fixture = *state;
    test_login_good_pin_leaves_a_good_record(state);
    (void)rig_stop(fixture->rig);
    rig_shim(fixture->rig, "C_Login rv 0x30\n");
    rig_start(fixture->rig);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_NO_TOKEN, 15000);
    rig_shim(fixture->rig, NULL);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 10000);
}

/* A module that shares logins among processes: whatever stands in the PIN file, C_Login has no word about it. */
static void test_login_of_somebody_else_proves_no_pin(void **state)
{
    struct fixture *fixture = *state;
    char record[1024] = "";
    rig_write(fixture->rig, "token/pin", "wrong-pin\n");
    rig_shim(fixture->rig, "C_Login rv 0x100\n");
    rig_start_ready(fixture->rig);
    for (int i = 0; i < 30; i++) {
        (void)rig_status(fixture->rig);
        usleep(100 * 1000);
    }
    rig_read(fixture->rig, "state/pin", record, sizeof(record));
    assert_null(strstr(record, " good "));
    assert_null(strstr(record, "intent"));
}

static void test_login_open_pin_file_is_refused_and_mended_in_place(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(chmod(fixture->rig->config.token.pin_file, 0640), 0);
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "chmod 0600"));
    assert_int_equal(chmod(fixture->rig->config.token.pin_file, 0600), 0);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 5000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

static void test_login_linked_pin_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    rig_path(fixture->rig, "token/real", path, sizeof(path));
    assert_int_equal(rename(fixture->rig->config.token.pin_file, path), 0);
    assert_int_equal(symlink(path, fixture->rig->config.token.pin_file), 0);
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "symbolic link"));
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 0);
}

/* systemd keeps its credentials as root's, and lets the unit's user in by an access control list, whose
 * mask shows as the group's bits. */
static void test_login_credential_open_to_a_list_is_read_but_no_further(void **state)
{
    struct fixture *fixture = *state;
    struct config_token *config = &fixture->rig->config.token;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chmod(config->pin_file, 0460), 0);
    config->pin_file[0] = '\0';
    (void)snprintf(config->pin_credential, sizeof(config->pin_credential), "pin");
    rig_path(fixture->rig, "token", config->credentials_dir, sizeof(config->credentials_dir));
    rig_start(fixture->rig);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    char path[256];
    rig_path(fixture->rig, "token/pin", path, sizeof(path));
    assert_int_equal(chmod(path, 0440), 0);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 5000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

/* What systemd copied at the start stays as it was: correcting the file it came from is not enough. */
static void test_login_refused_credential_says_to_restart(void **state)
{
    struct fixture *fixture = *state;
    struct config_token *config = &fixture->rig->config.token;
    config->pin_file[0] = '\0';
    (void)snprintf(config->pin_credential, sizeof(config->pin_credential), "pin");
    rig_path(fixture->rig, "token", config->credentials_dir, sizeof(config->credentials_dir));
    refuse_once(fixture);
    assert_non_null(strstr(rig_status(fixture->rig).text, "restart the service"));
    (void)rig_stop(fixture->rig);
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "refused this PIN before"));
    assert_non_null(strstr(status.text, "restart the service"));
}

static void test_login_credential_without_a_folder_says_what_to_set(void **state)
{
    struct fixture *fixture = *state;
    struct config_token *config = &fixture->rig->config.token;
    config->pin_file[0] = '\0';
    (void)snprintf(config->pin_credential, sizeof(config->pin_credential), "pin");
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "$CREDENTIALS_DIRECTORY is not set"));
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 0);
}

/* An ordinary stop may come at any time of a login, and must not cost another try at the next start. */
static void test_login_told_to_stop_inside_writes_down_the_answer(void **state)
{
    struct fixture *fixture = *state;
    char record[1024];
    rig_write(fixture->rig, "token/pin", "wrong-pin\n");
    rig_shim(fixture->rig, "C_Login delay 500\n");
    rig_start(fixture->rig);
    for (int i = 0; i < 200 && rig_shim_count(fixture->rig, "C_Login") == 0; i++) {
        (void)rig_status(fixture->rig);
        usleep(20 * 1000);
    }
    assert_int_equal(kill(fixture->rig->pid, SIGTERM), 0);
    assert_int_equal(rig_wait_end(fixture->rig, 20000), 0);
    rig_read(fixture->rig, "state/pin", record, sizeof(record));
    assert_non_null(strstr(record, " failed "));
}

static void test_login_that_hangs_does_not_hold_up_a_stop(void **state)
{
    struct fixture *fixture = *state;
    rig_shim(fixture->rig, "C_Login hang\n");
    rig_start(fixture->rig);
    for (int i = 0; i < 200 && rig_shim_count(fixture->rig, "C_Login") == 0; i++) {
        (void)rig_status(fixture->rig);
        usleep(20 * 1000);
    }
    assert_int_equal(kill(fixture->rig->pid, SIGTERM), 0);
    assert_int_equal(rig_wait_end(fixture->rig, 9000), 0);
}

/* The refusal cannot be stored, and the token does not count: only this process knows better than the disk. */
static void test_login_refusal_that_cannot_be_kept_is_not_tried_again(void **state)
{
    struct fixture *fixture = *state;
    char blocker[256];
    rig_path(fixture->rig, "state/.new", blocker, sizeof(blocker));
    rig_shim(fixture->rig, "C_Login rv 0xa0\n");
    rig_start(fixture->rig);
    for (int i = 0; i < 1000 && rig_shim_count(fixture->rig, "C_Login") == 0; i++) {
        (void)rig_status(fixture->rig);
        usleep(2 * 1000);
    }
    /* The hash of the value takes a while longer. */
    assert_int_equal(mkdir(blocker, 0700), 0);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_int_equal(rmdir(blocker), 0);
    for (int i = 0; i < 40; i++) {
        (void)rig_status(fixture->rig);
        usleep(100 * 1000);
    }
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
    assert_non_null(strstr(rig_status(fixture->rig).text, "refused"));
}

static void test_login_lock_that_is_not_given_back_is_said_and_waited_for(void **state)
{
    struct fixture *fixture = *state;
    int lock_fd = -1;
    assert_ok(state_open_pin_lock(&fixture->rig->state, &lock_fd));
    assert_int_equal(flock(lock_fd, LOCK_EX), 0);
    fixture->rig->config.token.start_timeout_s = 6;
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "pin.lock"));
    assert_int_equal(status.logins, 0);
    (void)close(lock_fd);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 10000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

#define WITH_TOKEN(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_login_wrong_pin_over_20_starts_is_one_login),
        WITH_TOKEN(test_login_corrected_pin_is_ready_within_5_s),
        WITH_TOKEN(test_login_file_touched_with_the_same_wrong_pin_is_not_tried),
        WITH_TOKEN(test_login_emptied_record_orders_one_more_try),
        WITH_TOKEN(test_login_count_low_of_others_waits_for_an_order),
        WITH_TOKEN(test_login_order_given_while_down_is_carried_out_once),
        WITH_TOKEN(test_login_damaged_record_costs_at_most_one_more_try),
        WITH_TOKEN(test_login_killed_after_success_leaves_no_doubt),
        WITH_TOKEN(test_login_good_pin_leaves_a_good_record),
        WITH_TOKEN(test_login_killed_inside_twice_is_not_tried_again_and_says_why),
        WITH_TOKEN(test_login_token_error_is_tried_again_for_a_proven_pin),
        WITH_TOKEN(test_login_of_somebody_else_proves_no_pin),
        WITH_TOKEN(test_login_open_pin_file_is_refused_and_mended_in_place),
        WITH_TOKEN(test_login_linked_pin_file_is_refused),
        WITH_TOKEN(test_login_told_to_stop_inside_writes_down_the_answer),
        WITH_TOKEN(test_login_that_hangs_does_not_hold_up_a_stop),
        WITH_TOKEN(test_login_credential_open_to_a_list_is_read_but_no_further),
        WITH_TOKEN(test_login_refused_credential_says_to_restart),
        WITH_TOKEN(test_login_credential_without_a_folder_says_what_to_set),
        WITH_TOKEN(test_login_refusal_that_cannot_be_kept_is_not_tried_again),
        WITH_TOKEN(test_login_lock_that_is_not_given_back_is_said_and_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
