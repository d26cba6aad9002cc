/*
 * Nothing seals before it was proven, and what opens to something else is seen, by the whole
 * service.
 */
#include <string.h>

#include "tests/flow/kms_fixture.h"

static enum err_code status_code(struct world *world)
{
    int32_t stream = world_status(world, SERVICE_AUTHORITY_OTHER);
    assert_true(world->answers[stream].has);
    return world->answers[stream].code;
}

static void corrupt_unwraps(struct world *world)
{
    for (int i = 0; i < 8; i++) {
        fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    }
}

static void test_seed_that_opens_to_something_else_never_seals(void **state)
{
    struct world *world = *state;
    world_start_alone(world);
    service_token_attach(world->service, fake_token_connect(world->token));
    corrupt_unwraps(world);
    world_pass(world, 5000);
    assert_true(fake_token_calls(world->token, IPC_UNWRAP) > 1);
    assert_int_equal(status_code(world), E_UNAVAILABLE);
    int32_t stream = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    world_pass(world, 3000);
    assert_answer_fails(world, stream, E_UNAVAILABLE);
}

static void test_canary_that_opens_to_something_else_again_and_again_is_hard(void **state)
{
    struct world *world = *state;
    world_serve(world);
    corrupt_unwraps(world);
    world_pass(world, 30000);
    assert_int_equal(status_code(world), E_STATE);
    assert_answer_fails(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"), E_STATE);
}

/* Cut out of one of suite 1 and relabelled: the answer would be the seed. */
static void test_decrypt_of_suite_2_is_refused_before_the_token_is_asked(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer direct = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    struct envelope envelope;
    assert_ok(envelope_parse(span_of(direct.payload, direct.payload_len), &envelope));
    direct.payload[5] = ENVELOPE_DIRECT;
    memset(direct.payload + 44, 0, 4); /* born */
    direct.payload_len = ENVELOPE_HEAD + envelope.wrapped.len;
    assert_ok(envelope_parse(span_of(direct.payload, direct.payload_len), &envelope));
    unsigned unwraps = fake_token_calls(world->token, IPC_UNWRAP);
    int32_t stream = world_decrypt_of(world, &direct);
    world_settle(world);
    assert_answer_fails(world, stream, E_INVALID);
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), unwraps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_seed_that_opens_to_something_else_never_seals),
        IN_WORLD(test_canary_that_opens_to_something_else_again_and_again_is_hard),
        IN_WORLD(test_decrypt_of_suite_2_is_refused_before_the_token_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
