/* What a token says once, and wrongly: none of it is kept, sealed with, or told to a client as the truth. */
#include <string.h>

#include "keys/key_id.h"
#include "tests/flow/kms_world.h"

static int setup(void **state)
{
    *state = world_new();
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static struct answer with_another_commitment(const struct answer *sealed)
{
    struct answer changed = *sealed;
    size_t wrapped = (size_t)sealed->payload[48] << 8 | sealed->payload[49];
    changed.payload[50 + wrapped + 32] ^= 1;
    return changed;
}

static void test_decrypt_seed_opened_wrongly_is_asked_for_once_more(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    int32_t stream = world_decrypt_of(world, &foreign);
    world_settle(world);
    assert_answer_ok(world, stream);
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before + 2);
}

static void test_decrypt_seed_opened_wrongly_twice_is_refused_and_right_later(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    int32_t refused = world_decrypt_of(world, &foreign);
    world_settle(world);
    assert_answer_fails(world, refused, E_CRYPTO);
    world_pass(world, 2000);
    int32_t opened = world_decrypt_of(world, &foreign);
    world_settle(world);
    assert_answer_ok(world, opened);
}

/* However many envelopes commit to something else, they cost one question more in two seconds. */
static void test_decrypt_512_with_another_commitment_ask_the_token_twice(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    struct answer changed = with_another_commitment(&foreign);
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    int32_t first = world->next_stream;
    for (int i = 0; i < 512; i++) {
        (void)world_decrypt_of(world, &changed);
    }
    world_settle(world);
    for (int32_t i = first; i < first + 512; i++) {
        assert_answer_fails(world, i, E_CRYPTO);
    }
    assert_answer_fails(world, world_decrypt_of(world, &changed), E_CRYPTO);
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before + 2);
    assert_answer_ok(world, world_decrypt_of(world, &foreign));
}

static void test_decrypt_seed_that_fitted_once_is_never_asked_for_again(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    struct answer changed = with_another_commitment(&foreign);
    (void)world_decrypt_of(world, &foreign);
    world_settle(world);
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    for (int i = 0; i < 3; i++) {
        assert_answer_fails(world, world_decrypt_of(world, &changed), E_CRYPTO);
        world_pass(world, 3000);
    }
    assert_in_range(fake_token_calls(world->token, IPC_UNWRAP), before, before + 1); /* the canary */
}

/* A seed that was remembered seals after a restart: what is sealed must open from the token alone. */
static void test_restart_seed_opened_wrongly_never_seals(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_pass(world, 2000);
    world_kill(world);
    world_start_alone(world);
    service_token_attach(world->service, fake_token_connect(world->token));
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    world_pass(world, 5000);
    int32_t sealed = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    assert_answer_ok(world, sealed);
    struct answer before = world->answers[sealed];
    world_kill(world);
    world->state[STATE_SEEDS].has = false;
    world_serve(world);
    int32_t opened = world_decrypt_of(world, &before);
    world_settle(world);
    assert_answer_ok(world, opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_decrypt_seed_opened_wrongly_is_asked_for_once_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_decrypt_seed_opened_wrongly_twice_is_refused_and_right_later, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_decrypt_512_with_another_commitment_ask_the_token_twice, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_decrypt_seed_that_fitted_once_is_never_asked_for_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_restart_seed_opened_wrongly_never_seals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
