/* What listings say of keys and tokens that are not what a KEK must rest on. */
#include "tests/kit/unit.h"
#include "tests/token/rig.h"

static struct ipc_key only_key(struct token_rig *rig)
{
    struct rig_listing listing;
    assert_true(rig_list(rig, false, &listing));
    assert_int_equal(listing.outcome, IPC_OK);
    assert_int_equal(listing.n, 1);
    return listing.keys[0];
}

static void test_list_token_that_ignores_the_aad_is_found_out(void **state)
{
    struct token_rig *rig = *state;
    rig_start_ready(rig);
    assert_int_equal(rig_generate(rig, 3).bad, 0);
    (void)rig_stop(rig);
    rig_shim(rig, "C_EncryptInit no-aad\nC_DecryptInit no-aad\n");
    rig_start_ready(rig);
    assert_int_equal(only_key(rig).bad, IPC_ATTR_AAD);
}

static void test_generate_template_refused_is_retried_without_modifiable(void **state)
{
    struct token_rig *rig = *state;
    rig_start_ready(rig);
    rig_shim(rig, "C_GenerateKey rv 0x12 1\n");
    struct ipc_key key = rig_generate(rig, 3);
    assert_int_equal(key.state, IPC_KEY_READ);
    assert_int_equal(key.bad, IPC_ATTR_MODIFIABLE);
    assert_int_equal(rig_shim_count(rig, "C_GenerateKey"), 2);
}

static void test_generate_token_without_a_mechanism_makes_nothing(void **state)
{
    struct token_rig *rig = *state;
    struct ipc_generate ask = {.ring = RIG_RING, .id = {4}, .scheme = 1};
    struct rig_listing listing;
    struct rig_reply reply;
    rig_start_ready(rig);
    rig_shim(rig, "C_GetMechanismInfo:1087 rv 0x70\n");
    assert_true(rig_call(rig, IPC_GENERATE, span_of(&ask, sizeof(ask)), &reply));
    assert_int_equal(reply.header.outcome, IPC_LACKS);
    assert_int_equal(reply.header.rv, IPC_MECHANISM_AES_GCM);
    assert_true(rig_list(rig, true, &listing));
    assert_int_equal(listing.n, 0);
}

#define WITH_TOKEN(test_) cmocka_unit_test_setup_teardown(test_, rig_set_up_shim, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_list_token_that_ignores_the_aad_is_found_out),
        WITH_TOKEN(test_generate_template_refused_is_retried_without_modifiable),
        WITH_TOKEN(test_generate_token_without_a_mechanism_makes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
