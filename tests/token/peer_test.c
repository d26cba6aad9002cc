/* A front that dies, again and again, beside a token process that goes on. */
#define _GNU_SOURCE
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/unit.h"
#include "tests/token/rig.h"

static const uint8_t seed[32] = "0123456789abcdef0123456789abcde";

/* Until the module has been entered so often. */
static void wait_calls(struct token_rig *rig, const char *function, unsigned n)
{
    for (int i = 0; i < 3000 && rig_shim_count(rig, function) < n; i++) {
        (void)poll(NULL, 0, 20);
    }
    assert_true(rig_shim_count(rig, function) >= n);
}

static void test_peer_gone_while_logged_in_costs_no_login(void **state)
{
    struct token_rig *rig = *state;
    struct rig_reply wrapped;
    rig_start_ready(rig);
    pid_t pid = rig->pid;
    struct ipc_key key = rig_generate(rig, 5);
    assert_int_equal(rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &wrapped),
                     IPC_OK);
    for (int i = 0; i < 20; i++) {
        struct rig_reply opened;
        rig_change_client(rig);
        assert_int_equal(rig_crypt(rig, IPC_UNWRAP, &key.ref, "a", wrapped.data, &opened), IPC_OK);
        assert_true(span_equal(opened.data, span_of(seed, sizeof(seed))));
    }
    assert_int_equal(rig_status(rig).logins, 1);
    assert_int_equal(rig_shim_count(rig, "C_Login"), 1);
    assert_int_equal(rig->pid, pid);
}

static void test_peer_gone_within_a_login_leaves_it_whole(void **state)
{
    struct token_rig *rig = *state;
    rig_shim(rig, "C_Login delay 3000\n");
    rig_start(rig);
    for (int i = 0; i < 8; i++) {
        rig_change_client(rig);
        assert_int_equal(rig_status(rig).phase, IPC_PHASE_STARTING);
        rig_serve(rig, 100);
    }
    assert_int_equal(rig_wait_phase(rig, IPC_PHASE_READY, 20000).logins, 1);
    assert_int_equal(rig_shim_count(rig, "C_Login"), 1);
}

/*
 * The rig fails the test on a frame before the greeting, and looks at each frame that comes after
 * it.
 */
static void test_peer_gone_its_answers_reach_nobody(void **state)
{
    struct token_rig *rig = *state;
    struct rig_reply wrapped;
    struct rig_listing listing;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 5);
    assert_int_equal(rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &wrapped),
                     IPC_OK);
    unsigned before = rig_shim_count(rig, "C_Decrypt");
    rig_shim(rig, "C_Decrypt delay 700\n");
    rig_ask_unwrap(rig, &key.ref, "a", wrapped.data);
    rig_ask_unwrap(rig, &key.ref, "a", wrapped.data);
    wait_calls(rig, "C_Decrypt", before + 2);
    uint64_t asked_by_the_dead = rig->call;
    rig_change_client(rig);
    assert_true(rig_list(rig, false, &listing));
    assert_int_equal(listing.n, 1);
    rig_shim(rig, NULL);
    for (int i = 0; i < 20; i++) { /* longer than the two calls took */
        assert_int_equal(rig_status(rig).phase, IPC_PHASE_READY);
        (void)poll(NULL, 0, 50);
    }
    assert_true(rig->strays == 0 && rig->call > asked_by_the_dead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_peer_gone_while_logged_in_costs_no_login,
                                        rig_set_up_shim, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_peer_gone_within_a_login_leaves_it_whole,
                                        rig_set_up_shim, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_peer_gone_its_answers_reach_nobody, rig_set_up_shim,
                                        rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
