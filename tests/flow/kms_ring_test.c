/* The ring over time: staged KEKs, the switch, seeds and their successors, clocks that lie. */
#include <stdio.h>
#include <string.h>

#include "keys/envelope.h"
#include "tests/flow/kms_fixture.h"

#define HOUR 3600000

static const struct answer *status_of(struct world *world)
{
    int32_t stream = world_status(world, SERVICE_AUTHORITY_OTHER);
    assert_true(world->answers[stream].has);
    world->next_stream = stream; /* its place is used again: these tests ask often */
    return &world->answers[stream];
}

static struct answer encrypt(struct world *world)
{
    int32_t stream = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    assert_answer_ok(world, stream);
    world->next_stream = stream;
    return world->answers[stream];
}

static struct envelope_head head_of(const struct answer *sealed)
{
    struct envelope envelope;
    assert_ok(envelope_parse(span_of(sealed->payload, sealed->payload_len), &envelope));
    return envelope.head;
}

static uint32_t now_s(void)
{
    return (uint32_t)world_real_s();
}

static void test_rotate_switches_at_the_not_before_and_not_earlier(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer old = encrypt(world);
    uint32_t not_before = now_s() + 300;
    (void)fake_token_add_key(world->token, WORLD_RING, not_before, now_s());
    while (now_s() < not_before) {
        assert_string_equal(status_of(world)->key_id, old.key_id);
        assert_string_equal(encrypt(world).key_id, old.key_id);
        world_pass(world, 1000);
    }
    world_pass(world, 1000);
    struct answer fresh = encrypt(world);
    assert_string_not_equal(fresh.key_id, old.key_id);
    assert_string_equal(status_of(world)->key_id, fresh.key_id);
    assert_int_equal(head_of(&fresh).activation, not_before);
    assert_answer_ok(world, world_decrypt_of(world, &old));
    assert_answer_ok(world, world_decrypt_of(world, &fresh));
}

static void test_rotate_staged_switches_while_the_token_is_away(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer old = encrypt(world);
    (void)fake_token_add_key(world->token, WORLD_RING, now_s() + 300, now_s());
    world_pass(world, 60000);
    world_token_away(world);
    world_pass(world, 300000);
    assert_string_not_equal(encrypt(world).key_id, old.key_id);
    assert_string_equal(status_of(world)->healthz, "ok");
}

static void test_rotate_now_switches_within_a_minute(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer old = encrypt(world);
    (void)fake_token_add_key(world->token, WORLD_RING, now_s(), now_s());
    world_pass(world, 60000);
    assert_string_not_equal(encrypt(world).key_id, old.key_id);
}

static void test_rotate_status_and_encrypt_never_differ(void **state)
{
    struct world *world = *state;
    world_serve(world);
    for (uint32_t i = 0; i < 8; i++) {
        (void)fake_token_add_key(world->token, WORLD_RING, now_s() + 40 + i, now_s());
        for (int steps = 0; steps < 600; steps++) {
            char key_id[64];
            (void)snprintf(key_id, sizeof(key_id), "%s", status_of(world)->key_id);
            assert_string_equal(encrypt(world).key_id, key_id);
            world_pass(world, 100);
        }
    }
}

static void test_rotate_new_key_that_cannot_be_proven_does_not_serve(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer old = encrypt(world);
    for (int i = 0; i < 8; i++) {
        fake_token_fault(world->token, IPC_WRAP, FAKE_CORRUPT);
    }
    (void)fake_token_add_key(world->token, WORLD_RING, now_s(), now_s());
    world_pass(world, 30000);
    assert_string_equal(encrypt(world).key_id, old.key_id);
    assert_string_equal(status_of(world)->healthz, "ok");
    world_pass(world, 30000);
    assert_string_not_equal(encrypt(world).key_id, old.key_id);
}

static void test_rotate_staged_key_that_is_deleted_again_is_forgotten(void **state)
{
    struct world *world = *state;
    world_serve(world);
    uint32_t now = (uint32_t)world_real_s();
    size_t staged = fake_token_add_key(world->token, WORLD_RING, now + 3000, now);
    world_pass(world, 60000);
    fake_token_key(world->token, staged)->gone = true;
    world_pass(world, 60000);
    unsigned unwraps = fake_token_calls(world->token, IPC_UNWRAP);
    world_pass(world, 60000);
    /* the canary of what serves */
    assert_in_range(fake_token_calls(world->token, IPC_UNWRAP) - unwraps, 2, 4);
    /* Restored, it is proven anew. */
    fake_token_key(world->token, staged)->gone = false;
    world_pass(world, 3600000);
    struct answer sealed = encrypt(world);
    assert_int_equal(head_of(&sealed).activation, now + 3000);
}

static void test_rotate_out_of_a_lost_kek(void **state)
{
    struct world *world = *state;
    world_serve(world);
    fake_token_key(world->token, 0)->gone = true;
    world_pass(world, 60000);
    assert_int_equal(status_of(world)->code, E_STATE);
    (void)fake_token_add_key(world->token, WORLD_RING, now_s(), now_s());
    world_pass(world, 10000);
    assert_string_equal(status_of(world)->healthz, "ok");
    (void)encrypt(world);
}

static void test_restart_never_goes_back_to_an_older_key(void **state)
{
    struct world *world = *state;
    world_serve(world);
    (void)fake_token_add_key(world->token, WORLD_RING, now_s(), now_s());
    world_pass(world, 60000);
    struct answer fresh = encrypt(world);
    world_kill(world);
    world_set_real_s(world_real_s() - 7200); /* before its not-before, not before the build */
    world_start(world);
    world_pass(world, 1000);
    assert_string_equal(encrypt(world).key_id, fresh.key_id);
}

static void test_restart_with_an_older_token_says_so(void **state)
{
    struct world *world = *state;
    world_serve(world);
    size_t key = fake_token_add_key(world->token, WORLD_RING, now_s(), now_s());
    world_pass(world, 60000);
    world_kill(world);
    fake_token_key(world->token, key)->gone = true;
    world_start(world);
    world_pass(world, 1500);
    assert_non_null(strstr(status_of(world)->healthz, "holds only older KEKs"));
    world_pass(world, 10000);
    assert_int_equal(status_of(world)->code, E_STATE); /* two looks agree: it is lost */
}

static void test_seed_gets_a_successor_at_three_quarters_of_its_life(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer first = encrypt(world);
    world_pass(world, 17 * (int64_t)HOUR);
    struct answer same = encrypt(world);
    assert_int_equal(head_of(&first).born, head_of(&same).born);
    world_pass(world, HOUR + 60000);
    struct answer next = encrypt(world);
    assert_true(head_of(&next).born > head_of(&first).born);
    assert_string_equal(next.key_id, first.key_id);
    assert_answer_ok(world, world_decrypt_of(world, &first));
}

static void test_seed_of_a_running_process_ages_with_the_clock_set_back(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer first = encrypt(world);
    world_set_real_s(world_real_s() - 80000);
    world_pass(world, 19 * (int64_t)HOUR);
    struct answer next = encrypt(world);
    assert_memory_not_equal(next.payload, first.payload, 110);
}

static void test_seed_over_age_seals_on_while_the_token_is_away(void **state)
{
    struct world *world = *state;
    world->config.seed_life_s = 7200;
    world_serve(world);
    struct answer first = encrypt(world);
    world_token_away(world);
    world_pass(world, 10 * (int64_t)HOUR);
    struct answer later = encrypt(world);
    assert_memory_equal(first.payload, later.payload, 110);
    world_token_back(world);
    world_pass(world, 10000);
    struct answer fresh = encrypt(world);
    assert_memory_not_equal(first.payload, fresh.payload, 110);
}

static struct state_health health_of(const struct world *world)
{
    struct state_health record;
    assert_true(world->state[STATE_HEALTH].has);
    assert_ok(state_health_parse(
        span_of(world->state[STATE_HEALTH].bytes, world->state[STATE_HEALTH].len), &record));
    return record;
}

/* The token opens and does not wrap: Encrypt goes on, and whoever asks p11-kmsctl is told. */
static void test_seed_over_age_of_a_token_that_wraps_no_more_is_said(void **state)
{
    struct world *world = *state;
    world->config.seed_life_s = 7200;
    world_serve(world);
    struct answer first = encrypt(world);
    fake_token_refuse_all(world->token, IPC_WRAP, IPC_REFUSED, 0x68);
    world_pass(world, 7000 * (int64_t)1000);
    assert_string_equal(health_of(world).mend, "");
    world_pass(world, 300 * (int64_t)1000);
    struct answer later = encrypt(world);
    assert_memory_equal(first.payload, later.payload, 110);
    assert_string_equal(status_of(world)->healthz, "ok");
    assert_string_equal(health_of(world).state, "OK");
    assert_non_null(strstr(health_of(world).mend, "older than seed_life"));
    assert_non_null(strstr(world->line, "older than seed_life"));
    fake_token_refuse_all(world->token, IPC_WRAP, IPC_OK, 0);
    world_pass(world, 90000);
    struct answer fresh = encrypt(world);
    assert_memory_not_equal(first.payload, fresh.payload, 110);
    assert_string_equal(health_of(world).mend, "");
}

static void test_listing_that_fails_for_a_minute_is_said(void **state)
{
    struct world *world = *state;
    world_serve(world);
    fake_token_refuse_all(world->token, IPC_LIST, IPC_REFUSED, 0x68);
    world_pass(world, 40000);
    assert_string_equal(health_of(world).mend, "");
    unsigned listings = fake_token_calls(world->token, IPC_LIST);
    world_pass(world, 60000);
    assert_in_range(fake_token_calls(world->token, IPC_LIST) - listings, 29, 31);
    assert_string_equal(status_of(world)->healthz, "ok");
    assert_non_null(strstr(health_of(world).mend, "cannot be listed"));
    fake_token_refuse_all(world->token, IPC_LIST, IPC_OK, 0);
    world_pass(world, 30000);
    assert_string_equal(health_of(world).mend, "");
}

static void test_seed_over_age_is_not_taken_up_after_a_restart(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer first = encrypt(world);
    world_kill(world);
    world_set_real_s(world_real_s() + 86400);
    world_start(world);
    world_pass(world, 1000);
    struct answer fresh = encrypt(world);
    assert_true(head_of(&fresh).born > head_of(&first).born);
}

static void test_seed_born_in_the_future_is_not_taken_up_after_a_restart(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer first = encrypt(world);
    world_kill(world);
    world_set_real_s(world_real_s() - 60);
    world_start(world);
    world_pass(world, 1000);
    struct answer fresh = encrypt(world);
    assert_true(head_of(&fresh).born < head_of(&first).born);
    assert_answer_ok(world, world_decrypt_of(world, &first));
}

static void test_ring_of_future_keys_blames_the_clock(void **state)
{
    struct world *world = *state;
    fake_token_key(world->token, 0)->gone = true;
    (void)fake_token_add_key(world->token, WORLD_RING, now_s() + 86400, now_s());
    world_start(world);
    world_pass(world, 10000);
    assert_int_equal(status_of(world)->code, E_UNAVAILABLE);
    assert_non_null(strstr(status_of(world)->text, "set the clock"));
}

static void test_waived_key_serves(void **state)
{
    struct world *world = *state;
    fake_token_key(world->token, 0)->bad = IPC_ATTR_LOCAL;
    world_start(world);
    world_pass(world, 10000);
    assert_int_equal(status_of(world)->code, E_UNAVAILABLE);
    struct answer foreign = world_foreign(world, 0, "x");
    struct envelope_head head = head_of(&foreign);
    memcpy(world->config.tokens[0].waive[0].kek_id, head.kek_id, KEK_ID_LEN);
    world->config.tokens[0].waive_n = 1;
    service_reload(world->service, &world->config);
    world_pass(world, 25000);
    assert_string_equal(status_of(world)->healthz, "ok");
}

static void test_waived_key_that_does_not_bind_its_aad_stays_refused(void **state)
{
    struct world *world = *state;
    fake_token_key(world->token, 0)->bad = IPC_ATTR_AAD;
    struct answer foreign = world_foreign(world, 0, "x");
    struct envelope_head head = head_of(&foreign);
    memcpy(world->config.tokens[0].waive[0].kek_id, head.kek_id, KEK_ID_LEN);
    world->config.tokens[0].waive_n = 1;
    world_start(world);
    world_pass(world, 25000);
    assert_int_equal(status_of(world)->code, E_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_rotate_switches_at_the_not_before_and_not_earlier),
        IN_WORLD(test_rotate_staged_switches_while_the_token_is_away),
        IN_WORLD(test_rotate_now_switches_within_a_minute),
        IN_WORLD(test_rotate_status_and_encrypt_never_differ),
        IN_WORLD(test_rotate_new_key_that_cannot_be_proven_does_not_serve),
        IN_WORLD(test_rotate_staged_key_that_is_deleted_again_is_forgotten),
        IN_WORLD(test_rotate_out_of_a_lost_kek),
        IN_WORLD(test_restart_never_goes_back_to_an_older_key),
        IN_WORLD(test_restart_with_an_older_token_says_so),
        IN_WORLD(test_seed_gets_a_successor_at_three_quarters_of_its_life),
        IN_WORLD(test_seed_of_a_running_process_ages_with_the_clock_set_back),
        IN_WORLD(test_seed_over_age_seals_on_while_the_token_is_away),
        IN_WORLD(test_seed_over_age_of_a_token_that_wraps_no_more_is_said),
        IN_WORLD(test_listing_that_fails_for_a_minute_is_said),
        IN_WORLD(test_seed_over_age_is_not_taken_up_after_a_restart),
        IN_WORLD(test_seed_born_in_the_future_is_not_taken_up_after_a_restart),
        IN_WORLD(test_ring_of_future_keys_blames_the_clock),
        IN_WORLD(test_waived_key_serves),
        IN_WORLD(test_waived_key_that_does_not_bind_its_aad_stays_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
