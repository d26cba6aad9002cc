/*
 * What a reload changes reaches what is open already: the seed that seals, the KEK that serves,
 * calls, states.
 */
#include <string.h>

#include "keys/key_id.h"
#include "tests/flow/kms_fixture.h"

#define MINUTE 60000

static void reload(struct world *world)
{
    service_reload(world->service, &world->config);
}

static void test_health_changes_the_state_of_an_outage_that_runs(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_token_away(world);
    world_pass(world, 10 * MINUTE);
    assert_string_equal(world_status_of(world)->healthz, "ok");
    world->config.coast_s = 60;
    reload(world);
    assert_string_not_equal(world_status_of(world)->healthz, "ok");
    world->config.on_token_loss = CONFIG_LOSS_HARD;
    reload(world);
    assert_answer_fails(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"), E_STATE);
    world_pass(world, 2000);
    assert_memory_equal(world->line, "HARD", 4);
    world->config.on_token_loss = CONFIG_LOSS_COAST;
    world->config.coast_s = 3600;
    reload(world);
    assert_answer_ok(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"));
    assert_string_equal(world_status_of(world)->healthz, "ok");
}

static void test_seed_life_ends_the_seed_that_seals(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer before = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    world_pass(world, 30 * MINUTE);
    unsigned wraps = fake_token_calls(world->token, IPC_WRAP);
    world->config.seed_life_s = 600;
    reload(world);
    world_pass(world, 2000);
    assert_int_equal(fake_token_calls(world->token, IPC_WRAP), wraps + 1);
    struct answer after = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    assert_memory_not_equal(before.payload, after.payload, 110);
}

static void test_status_version_is_another_with_the_next_status(void **state)
{
    struct world *world = *state;
    world_serve(world);
    assert_string_equal(world_status_of(world)->version, "v2");
    world->config.status_version = CONFIG_STATUS_V2BETA1;
    reload(world);
    assert_string_equal(world_status_of(world)->version, "v2beta1");
}

static void test_v1_turned_off_finishes_the_call_that_waits(void **state)
{
    struct world *world = *state;
    world_start_alone(world);
    int32_t waits = world_encrypt(world, CODEC_V1_ENCRYPT, "x");
    assert_false(world->answers[waits].has);
    world->config.kms_v1 = CONFIG_V1_OFF;
    reload(world);
    assert_answer_fails(world, world_encrypt(world, CODEC_V1_ENCRYPT, "x"), E_UNSUPPORTED);
    world_token_back(world);
    world_pass(world, 2300);
    assert_answer_ok(world, waits);
}

static void test_waiver_taken_away_ends_the_kek_that_serves(void **state)
{
    struct world *world = *state;
    struct envelope envelope;
    struct answer foreign = world_foreign(world, 0, "x");
    assert_ok(envelope_parse(span_of(foreign.payload, foreign.payload_len), &envelope));
    fake_token_key(world->token, 0)->bad = IPC_ATTR_LOCAL;
    memcpy(world->config.tokens[0].waive[0].kek_id, envelope.head.kek_id, KEK_ID_LEN);
    world->config.tokens[0].waive_n = 1;
    world_serve(world);
    assert_string_equal(world_status_of(world)->healthz, "ok");
    world->config.tokens[0].waive_n = 0;
    reload(world);
    world_pass(world, 10000);
    assert_int_equal(world_status_of(world)->code, E_STATE);
    assert_answer_fails(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"), E_STATE);
    world->config.tokens[0].waive_n = 1;
    reload(world);
    world_pass(world, 10000);
    assert_string_equal(world_status_of(world)->healthz, "ok");
}

/* Not even if they never end. */
static void test_reloads_do_not_put_off_the_listing(void **state)
{
    struct world *world = *state;
    world_start(world);
    for (int i = 0; i < 50; i++) {
        reload(world);
        world_pass(world, 100);
    }
    assert_string_equal(world_status_of(world)->healthz, "ok");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_health_changes_the_state_of_an_outage_that_runs),
        IN_WORLD(test_seed_life_ends_the_seed_that_seals),
        IN_WORLD(test_status_version_is_another_with_the_next_status),
        IN_WORLD(test_v1_turned_off_finishes_the_call_that_waits),
        IN_WORLD(test_reloads_do_not_put_off_the_listing),
        IN_WORLD(test_waiver_taken_away_ends_the_kek_that_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
