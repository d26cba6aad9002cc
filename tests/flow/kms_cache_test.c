/* What the service keeps in locked memory: derived keys and seeds, up to their limits. */
#include "base/secret.h"
#include "tests/flow/kms_fixture.h"

static void test_decrypt_with_derived_keys_off_answers_the_same(void **state)
{
    struct world *world = *state;
    world->config.derived_keys = 0;
    world_serve(world);
    struct answer sealed = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    for (int i = 0; i < 3; i++) {
        assert_answer_ok(world, world_decrypt_of(world, &sealed));
    }
    assert_int_equal(secret_in_use(SECRET_DERIVED), 0);
}

static void test_decrypt_keeps_derived_keys_up_to_the_limit(void **state)
{
    struct world *world = *state;
    world->config.derived_keys = 2;
    world_serve(world);
    for (int i = 0; i < 3; i++) {
        struct answer sealed = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
        assert_answer_ok(world, world_decrypt_of(world, &sealed));
        assert_answer_ok(world, world_decrypt_of(world, &sealed));
    }
    assert_int_equal(secret_in_use(SECRET_DERIVED), 2);
    world->config.derived_keys = 0;
    service_reload(world->service, &world->config);
    assert_int_equal(secret_in_use(SECRET_DERIVED), 0);
}

static void test_decrypt_4097th_seed_evicts_the_oldest(void **state)
{
    struct world *world = *state;
    world_serve(world);
    size_t own = secret_in_use(SECRET_SEED);
    struct answer oldest = world_foreign(world, 0, "x");
    (void)world_decrypt_of(world, &oldest);
    world_settle(world);
    for (size_t i = own + 1; i < 4097; i++) {
        struct answer foreign = world_foreign(world, 0, "x");
        world->next_stream = 100;
        (void)world_decrypt_of(world, &foreign);
        world_settle(world);
        assert_answer_ok(world, 100);
    }
    assert_int_equal(secret_in_use(SECRET_SEED), 4096);
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    world->config.derived_keys = 0;
    service_reload(world->service, &world->config);
    int32_t again = world_decrypt_of(world, &oldest);
    world_settle(world);
    assert_answer_ok(world, again);
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before + 1);
    assert_answer_ok(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_decrypt_with_derived_keys_off_answers_the_same),
        IN_WORLD(test_decrypt_keeps_derived_keys_up_to_the_limit),
        IN_WORLD(test_decrypt_4097th_seed_evicts_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
