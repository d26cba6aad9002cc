/* Two token processes on one state folder, as of two tokens of one configuration. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/kit/unit.h"
#include "tests/token/pin_fixture.h"

/* A second token, whose record and lock lie where those of the first do. */
static struct token_rig *beside(struct token_rig *first)
{
    struct token_rig *rig = rig_new_softhsm();
    rig_use_shim(rig);
    (void)snprintf(rig->config.state_dir, sizeof(rig->config.state_dir), "%s",
                   first->config.state_dir);
    state_close(&rig->state);
    assert_ok(state_open(rig->config.state_dir, first->state.realm, false, &rig->state));
    return rig;
}

/* The shim hangs before the module is asked: nothing of its own is being written. */
static void kill_hung(struct token_rig *rig)
{
    assert_int_equal(kill(rig->pid, SIGKILL), 0);
    assert_int_equal(rig_wait_end(rig, 5000), 128 + SIGKILL);
}

static void test_login_that_hangs_does_not_hold_up_that_of_another_token(void **state)
{
    struct fixture *fixture = *state;
    struct token_rig *other = beside(fixture->rig);
    fixture->rig->config.tokens[0].start_timeout_s = 120;
    rig_shim(fixture->rig, "C_Login hang\n");
    rig_start(fixture->rig);
    wait_logins(fixture, 1);
    rig_start_ready(other);
    assert_int_equal(rig_status(other).logins, 1);
    assert_int_equal(rig_status(fixture->rig).phase, IPC_PHASE_STARTING);
    kill_hung(fixture->rig);
    /* Neither has touched what the other knows. */
    (void)rig_stop(other);
    assert_int_equal(rig_shim_count(other, "C_Login"), 1);
    rig_start_ready(other);
    rig_shim(fixture->rig, NULL);
    rig_start_ready(fixture->rig);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 2);
    rig_free(other);
}

static void test_login_of_the_same_token_waits_and_learns_what_came_of_it(void **state)
{
    struct fixture *fixture = *state;
    struct token_rig *first = fixture->rig;
    struct token_rig second = *first; /* the same token, PIN and folder */
    second.control_fd = second.service_fd = -1;
    rig_write(first, "token/pin", "wrong-pin\n");
    rig_shim(first, "C_Login delay 3000\n");
    rig_start(first);
    wait_logins(fixture, 1);
    rig_start(&second);
    struct ipc_status status = rig_wait_phase(first, IPC_PHASE_PIN, 15000);
    assert_int_equal(status.logins, 1);
    status = rig_wait_phase(&second, IPC_PHASE_PIN, 15000);
    assert_int_equal(status.logins, 0);
    assert_non_null(strstr(status.text, "refused this PIN before"));
    assert_int_equal(rig_shim_count(first, "C_Login"), 1);
    (void)rig_stop(&second);
}

static void test_login_of_one_token_leaves_the_refusal_of_another(void **state)
{
    struct fixture *fixture = *state;
    struct token_rig *other = beside(fixture->rig);
    refuse_once(fixture);
    (void)rig_stop(fixture->rig);
    rig_start_ready(other);
    rig_free(other);
    rig_start(fixture->rig);
    wait_text(fixture, "refused this PIN before");
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_login_that_hangs_does_not_hold_up_that_of_another_token),
        WITH_TOKEN(test_login_of_the_same_token_waits_and_learns_what_came_of_it),
        WITH_TOKEN(test_login_of_one_token_leaves_the_refusal_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
