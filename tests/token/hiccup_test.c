/*
 * Tokens that fail now and then: one failure is no verdict on the bytes, the key or the token,
 * however the failures fall; and bytes that are bad are found out all the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/kit/unit.h"
#include "tests/token/rig.h"

#define LONG_MS  20000
#define SHORT_MS 1500 /* for calls that the token never does: they take all the time they get */
/* a look beside a canary or two, where C_Decrypt takes 100 ms; no verdict takes so little */
#define SOME_MS  2200

static const uint8_t seed[32] = "0123456789abcdef0123456789abcde";

struct world {
    struct token_rig *rig;
    struct ipc_key key;
    struct rig_reply wrapped;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    world->rig = rig_new_softhsm();
    rig_use_shim(world->rig);
    rig_start_ready(world->rig);
    world->key = rig_generate(world->rig, 3);
    assert_int_equal(rig_crypt(world->rig, IPC_WRAP, &world->key.ref, "a",
                               span_of(seed, sizeof(seed)), &world->wrapped),
                     IPC_OK);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    rig_free(world->rig);
    free(world);
    return 0;
}

static enum ipc_outcome unwrap(struct world *world, const char *aad)
{
    struct rig_reply reply;
    return rig_crypt(world->rig, IPC_UNWRAP, &world->key.ref, aad, world->wrapped.data, &reply);
}

/* No verdict. A busy machine may spend all of the call's time before the token is asked. */
static void assert_no_answer(struct world *world, const char *aad)
{
    enum ipc_outcome outcome = unwrap(world, aad);
    assert_true(outcome == IPC_UNAVAILABLE || outcome == IPC_EXPIRED);
}

/*
 * Codes that say nothing, that say something else, and one that means bad data with a token that
 * says it otherwise.
 */
static void test_unwrap_one_failure_of_any_kind_costs_no_answer(void **state)
{
    struct world *world = *state;
    const char *const orders[] = {"C_Decrypt rv 0x5 1\n",      "C_Decrypt rv 0x30 1\n",
                                  "C_Decrypt rv 0x31 1\n",     "C_Decrypt rv 0x40 1\n",
                                  "C_Decrypt rv 0x54 1\n",     "C_Decrypt rv 0x80000001 1\n",
                                  "C_DecryptInit rv 0x5 1\n",  "C_DecryptInit rv 0x30 1\n",
                                  "C_DecryptInit rv 0x40 1\n", "C_DecryptInit rv 0x82 1\n",
                                  "C_Decrypt rv 0xb3 1\nC_OpenSession rv 0x30 1\n"};
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        rig_shim(world->rig, orders[i]);
        assert_int_equal(unwrap(world, "a"), IPC_OK);
        rig_shim(world->rig, NULL);
        assert_int_equal(unwrap(world, "a"), IPC_OK);
    }
}

static void test_unwrap_token_that_fails_in_a_rhythm_refuses_nothing(void **state)
{
    struct world *world = *state;
    for (int every = 2; every <= 5; every++) {
        char order[64];
        (void)snprintf(order, sizeof(order), "C_Decrypt rv 0x5 100000 %d\n", every);
        rig_shim(world->rig, order);
        for (int i = 0; i < 30; i++) {
            assert_int_equal(unwrap(world, "a"), IPC_OK);
        }
        rig_shim(world->rig, NULL);
        assert_int_equal(unwrap(world, "a"), IPC_OK);
    }
}

/* What is bad is never opened, and is called bad once the token is steady. */
static void test_unwrap_bad_bytes_are_found_out_by_a_steady_token_only(void **state)
{
    struct world *world = *state;
    rig_shim(world->rig, "C_Decrypt rv 0x5 100000 2\n");
    world->rig->call_ms = SHORT_MS;
    assert_no_answer(world, "b");
    rig_shim(world->rig, NULL);
    world->rig->call_ms = LONG_MS;
    assert_int_equal(unwrap(world, "b"), IPC_DATA);
    assert_int_equal(unwrap(world, "a"), IPC_OK);
}

static void test_unwrap_failure_that_lasts_is_an_outage(void **state)
{
    struct world *world = *state;
    world->rig->call_ms = SHORT_MS;
    rig_shim(world->rig, "C_Decrypt rv 0x30\n");
    assert_no_answer(world, "a");
    rig_shim(world->rig, "C_DecryptInit rv 0x30\n");
    assert_no_answer(world, "a");
    rig_shim(world->rig, NULL);
    world->rig->call_ms = LONG_MS;
    assert_int_equal(unwrap(world, "a"), IPC_OK);
}

/* Each refusal leaves the session unusable: the canary beside the bytes needs a new one. */
static void test_unwrap_bad_bytes_are_found_out_where_a_refusal_spoils_the_session(void **state)
{
    struct world *world = *state;
    (void)rig_stop(world->rig);
    rig_shim(world->rig, "C_Decrypt jams\n");
    rig_start_ready(world->rig);
    assert_int_equal(unwrap(world, "a"), IPC_OK);
    world->rig->call_ms = LONG_MS;
    assert_int_equal(unwrap(world, "b"), IPC_DATA);
    assert_int_equal(unwrap(world, "a"), IPC_OK);
}

/*
 * A token too slow for all the looks that a verdict takes opens its canaries beside them: it is no
 * outage, and no reason to end a process that works.
 */
static void test_unwrap_bad_bytes_on_a_slow_token_do_not_end_the_process(void **state)
{
    struct world *world = *state;
    rig_shim(world->rig, "C_Decrypt delay 100\n");
    world->rig->call_ms = SOME_MS;
    for (int i = 0; i < 3; i++) {
        assert_no_answer(world, "b");
    }
    rig_shim(world->rig, NULL);
    world->rig->call_ms = LONG_MS;
    assert_int_equal(unwrap(world, "b"), IPC_DATA);
    assert_int_equal(unwrap(world, "a"), IPC_OK);
}

/* The key is there, but nobody can see which one it is. */
static void test_unwrap_key_that_cannot_be_read_is_not_a_missing_key(void **state)
{
    struct world *world = *state;
    (void)rig_stop(world->rig);
    rig_shim(world->rig, "C_EncryptInit rv 0x30\n");
    rig_start_ready(world->rig);
    world->rig->call_ms = SHORT_MS;
    assert_no_answer(world, "a");
    rig_shim(world->rig, NULL);
    world->rig->call_ms = LONG_MS;
    assert_int_equal(unwrap(world, "a"), IPC_OK);
}

static struct ipc_key only_key(struct world *world, bool serving)
{
    struct rig_listing listing = {0};
    struct ipc_list ask = {.ring = "test", .has_serving = serving, .serving = world->key.ref};
    assert_true(rig_list_as(world->rig, &ask, &listing));
    assert_int_equal(listing.outcome, IPC_OK);
    assert_int_equal(listing.n, 1);
    return listing.keys[0];
}

static void test_list_token_that_fails_in_a_rhythm_reads_its_keys(void **state)
{
    struct world *world = *state;
    (void)rig_stop(world->rig);
    rig_shim(world->rig, "C_EncryptInit rv 0x30 100000 2\nC_Decrypt rv 0x5 100000 2\n");
    rig_start_ready(world->rig);
    struct ipc_key key = only_key(world, false);
    assert_int_equal(key.state, IPC_KEY_READ);
    assert_int_equal(key.bad, 0);
    assert_int_equal(unwrap(world, "a"), IPC_OK);
}

/* As a pair of which one member is dead, for every call that can be made twice. */
static void test_token_of_which_every_second_call_fails_does_all_it_can(void **state)
{
    struct world *world = *state;
    const struct ipc_random random = {.n = 32};
    struct rig_reply reply;
    rig_shim(world->rig, "C_OpenSession rv 0x30 100000 2\nC_FindObjectsInit rv 0x30 100000 2\n"
                         "C_GetAttributeValue rv 0x30 100000 2\nC_EncryptInit rv 0x30 100000 2\n"
                         "C_DecryptInit rv 0x30 100000 2\nC_GenerateRandom rv 0x30 100000 2\n");
    for (int i = 0; i < 5; i++) {
        (void)only_key(world, true);
        assert_int_equal(unwrap(world, "a"), IPC_OK);
        assert_int_equal(rig_crypt(world->rig, IPC_WRAP, &world->key.ref, "a",
                                   span_of(seed, sizeof(seed)), &reply),
                         IPC_OK);
        assert_true(rig_call(world->rig, IPC_RANDOM, span_of(&random, sizeof(random)), &reply));
        assert_int_equal(reply.header.outcome, IPC_OK);
    }
}

static void test_list_one_wrong_fingerprint_makes_no_other_key(void **state)
{
    struct world *world = *state;
    struct rig_listing listing;
    struct ipc_list ask = {.ring = "test", .has_serving = 1, .serving = world->key.ref};
    rig_shim(world->rig, "C_Encrypt wrong 0 1\n");
    assert_true(rig_list_as(world->rig, &ask, &listing));
    assert_int_not_equal(listing.outcome, IPC_OK);
    rig_shim(world->rig, NULL);
    struct ipc_key key = only_key(world, true);
    assert_memory_equal(&key.ref, &world->key.ref, sizeof(key.ref));
}

#define WITH_TOKEN(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_unwrap_one_failure_of_any_kind_costs_no_answer),
        WITH_TOKEN(test_unwrap_token_that_fails_in_a_rhythm_refuses_nothing),
        WITH_TOKEN(test_unwrap_bad_bytes_are_found_out_by_a_steady_token_only),
        WITH_TOKEN(test_unwrap_failure_that_lasts_is_an_outage),
        WITH_TOKEN(test_unwrap_bad_bytes_are_found_out_where_a_refusal_spoils_the_session),
        WITH_TOKEN(test_unwrap_bad_bytes_on_a_slow_token_do_not_end_the_process),
        WITH_TOKEN(test_unwrap_key_that_cannot_be_read_is_not_a_missing_key),
        WITH_TOKEN(test_list_token_that_fails_in_a_rhythm_reads_its_keys),
        WITH_TOKEN(test_token_of_which_every_second_call_fails_does_all_it_can),
        WITH_TOKEN(test_list_one_wrong_fingerprint_makes_no_other_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
