/* Calls that wait in vain are told in time, and a reload takes effect on what runs. */
#include <string.h>

#include "base/clock.h"
#include "keys/envelope.h"
#include "tests/flow/kms_fixture.h"

/* A Decrypt that only the token could answer, which is away. */
static int32_t ask_in_vain(struct world *world, const struct answer *foreign, int64_t timeout_ms)
{
    const struct codec_request request = {
        .payload = span_of(foreign->payload, foreign->payload_len),
        .key_id = span_of_text(foreign->key_id)};
    return world_send(world, CODEC_V2_DECRYPT, &request, clock_mono_ms() + timeout_ms);
}

static void test_call_that_waits_in_vain_is_told_before_its_deadline(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    world_token_away(world);
    int32_t second = ask_in_vain(world, &foreign, 1000);
    world_pass(world, 799);
    assert_false(world->answers[second].has);
    world_pass(world, 1);
    assert_answer_fails(world, second, E_UNAVAILABLE);
    int32_t moment = ask_in_vain(world, &foreign, 100);
    world_pass(world, 74);
    assert_false(world->answers[moment].has);
    world_pass(world, 1);
    assert_answer_fails(world, moment, E_UNAVAILABLE);
}

static uint32_t born(struct world *world)
{
    struct envelope envelope;
    int32_t stream = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    assert_answer_ok(world, stream);
    const struct answer *sealed = &world->answers[stream];
    assert_ok(envelope_parse(span_of(sealed->payload, sealed->payload_len), &envelope));
    return envelope.head.born;
}

static void test_reload_with_a_shorter_seed_life_holds_for_the_seed_that_seals(void **state)
{
    struct world *world = *state;
    world->config.seed_life_s = 86400;
    world_serve(world);
    uint32_t first = born(world);
    world_pass(world, 5000000);
    assert_int_equal(born(world), first);
    world->config.seed_life_s = 3600;
    service_reload(world->service, &world->config);
    world_pass(world, 5000);
    assert_true(born(world) > first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_call_that_waits_in_vain_is_told_before_its_deadline),
        IN_WORLD(test_reload_with_a_shorter_seed_life_holds_for_the_seed_that_seals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
