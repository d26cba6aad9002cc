/* The same verbs on NSS softokn: another module's view of attributes and errors. */
#include <string.h>

#include "tests/kit/unit.h"
#include "tests/token/rig.h"

static const uint8_t seed[32] = "0123456789abcdef0123456789abcde";

static int set_up(void **state)
{
    struct token_rig *rig = rig_new_nss();
    rig_start_ready(rig);
    *state = rig;
    return 0;
}

static void test_generate_reports_what_this_module_does_not_keep(void **state)
{
    struct ipc_key key = rig_generate(*state, 7);
    assert_int_equal(key.state, IPC_KEY_READ);
    assert_int_equal(key.ref.fingerprint_len, 16);
    /* NSS says LOCAL=false of keys that it made itself. */
    assert_true((key.bad & IPC_ATTR_LOCAL) != 0);
    assert_int_equal(key.bad & (IPC_ATTR_AAD | IPC_ATTR_ENCRYPT | IPC_ATTR_DECRYPT), 0);
}

static void test_generate_same_id_again_makes_no_second_key(void **state)
{
    struct rig_listing listing;
    (void)rig_generate(*state, 7);
    (void)rig_generate(*state, 7);
    assert_true(rig_list(*state, false, &listing));
    assert_int_equal(listing.n, 1);
}

static void test_wrap_opens_again_and_flips_do_not(void **state)
{
    struct ipc_key key = rig_generate(*state, 7);
    struct rig_reply wrapped;
    struct rig_reply opened;
    struct span data = span_of(seed, sizeof(seed));
    assert_int_equal(rig_crypt(*state, IPC_WRAP, &key.ref, "aad", data, &wrapped), IPC_OK);
    assert_int_equal(rig_crypt(*state, IPC_UNWRAP, &key.ref, "aad", wrapped.data, &opened), IPC_OK);
    assert_true(span_equal(opened.data, data));
    assert_int_equal(rig_crypt(*state, IPC_UNWRAP, &key.ref, "abd", wrapped.data, &opened),
                     IPC_DATA);
    for (size_t i = 0; i < wrapped.data.len; i++) {
        wrapped.bytes[i] ^= 1;
        assert_int_equal(rig_crypt(*state, IPC_UNWRAP, &key.ref, "aad", wrapped.data, &opened),
                         IPC_DATA);
        wrapped.bytes[i] ^= 1;
    }
}

static void test_random_gives_what_is_asked(void **state)
{
    struct ipc_random ask = {.n = 32};
    struct rig_reply reply;
    assert_true(rig_call(*state, IPC_RANDOM, span_of(&ask, sizeof(ask)), &reply));
    assert_int_equal(reply.header.outcome, IPC_OK);
    assert_int_equal(reply.data.len, 32);
}

static void test_start_again_finds_the_same_key(void **state)
{
    struct token_rig *rig = *state;
    struct ipc_key key = rig_generate(rig, 7);
    struct rig_listing listing;
    (void)rig_stop(rig);
    rig_start_ready(rig);
    assert_true(rig_list(rig, false, &listing));
    assert_int_equal(listing.n, 1);
    assert_memory_equal(&listing.keys[0].ref, &key.ref, sizeof(key.ref));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate_reports_what_this_module_does_not_keep),
        cmocka_unit_test(test_generate_same_id_again_makes_no_second_key),
        cmocka_unit_test(test_wrap_opens_again_and_flips_do_not),
        cmocka_unit_test(test_random_gives_what_is_asked),
        cmocka_unit_test(test_start_again_finds_the_same_key),
    };
    return cmocka_run_group_tests(tests, set_up, rig_tear_down);
}
