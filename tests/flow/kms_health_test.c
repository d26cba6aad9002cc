/*
 * Bad days: starts without a token, outages, lost keys, and what Status and Encrypt say meanwhile.
 */
#include <string.h>

#include "keys/key_id.h"
#include "tests/flow/kms_fixture.h"

#define MINUTE 60000
#define HOUR   (60 * MINUTE)

static void assert_state(const struct world *world, const char *name)
{
    struct state_health record;
    assert_true(world->state[STATE_HEALTH].has);
    assert_ok(state_health_parse(
        span_of(world->state[STATE_HEALTH].bytes, world->state[STATE_HEALTH].len), &record));
    assert_string_equal(record.state, name);
}

static void test_start_first_status_waits_for_the_first_proof(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_kill(world);
    world_start_alone(world);
    int32_t stream = world_status(world, SERVICE_AUTHORITY_OTHER);
    assert_false(world->answers[stream].has);
    world_pass(world, 20);
    world_token_back(world);
    world_pass(world, 1);
    assert_answer_ok(world, stream);
    assert_string_equal(world->answers[stream].healthz, "ok");
}

static void test_start_first_status_waits_one_second_at_most(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_kill(world);
    world_start_alone(world);
    int32_t stream = world_status(world, SERVICE_AUTHORITY_OTHER);
    world_pass(world, 999);
    assert_false(world->answers[stream].has);
    world_pass(world, 2);
    assert_answer_ok(world, stream); /* the remembered key_id with the mend */
    assert_string_not_equal(world->answers[stream].healthz, "ok");
    assert_int_equal(strlen(world->answers[stream].key_id), strlen("p11-kms/1/") + 32 + 1 + 8);
    int32_t next = world_status(world, SERVICE_AUTHORITY_OTHER);
    assert_true(world->answers[next].has);
}

static void test_start_with_nothing_remembered_is_unavailable(void **state)
{
    struct world *world = *state;
    world_start_alone(world);
    world_pass(world, 1500);
    assert_int_equal(world_status_of(world)->code, E_UNAVAILABLE);
    assert_state(world, "START");
}

static void test_start_with_no_kek_says_init(void **state)
{
    struct world *world = *state;
    fake_token_key(world->token, 0)->gone = true;
    world_start(world);
    world_pass(world, 5000);
    const struct answer *answer = world_status_of(world);
    assert_int_equal(answer->code, E_UNAVAILABLE);
    assert_non_null(strstr(answer->text, "run p11-kmsctl init"));
}

static void test_start_encrypt_waits_then_is_unavailable(void **state)
{
    struct world *world = *state;
    world_start_alone(world);
    int32_t early = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    world_pass(world, 2400);
    assert_false(world->answers[early].has);
    world_pass(world, 200);
    assert_answer_fails(world, early, E_UNAVAILABLE);
    int32_t late = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    world_token_back(world);
    world_pass(world, 2450);
    assert_answer_ok(world, late);
}

static void test_start_text_of_the_token_is_the_mend(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_kill(world);
    fake_token_set_phase(world->token, IPC_PHASE_PIN, "the PIN in /etc/pin was refused");
    world_start(world);
    world_pass(world, 3000);
    const struct answer *answer = world_status_of(world);
    assert_int_equal(answer->code, E_NONE);
    assert_string_equal(answer->healthz, "the PIN in /etc/pin was refused");
    assert_string_equal(world->line, "START: the PIN in /etc/pin was refused");
}

static void test_restart_seals_on_with_the_remembered_seed(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer before = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    world_kill(world);
    unsigned wraps = fake_token_calls(world->token, IPC_WRAP);
    world_start(world);
    assert_string_equal(world_status_of(world)->healthz, "ok"); /* not one millisecond has passed */
    struct answer after = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    assert_memory_equal(before.payload, after.payload, 110);
    assert_int_equal(fake_token_calls(world->token, IPC_WRAP), wraps);
}

static void test_restart_reopens_foreign_seeds_before_anyone_asks(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign[20];
    for (size_t i = 0; i < 20; i++) {
        foreign[i] = world_foreign(world, 0, "x");
        (void)world_decrypt_of(world, &foreign[i]);
    }
    world_pass(world, 2000);
    world_kill(world);
    world_start(world);
    world_pass(world, 1000);
    world_token_away(world);
    for (size_t i = 0; i < 20; i++) {
        assert_answer_ok(world, world_decrypt_of(world, &foreign[i]));
    }
}

/*
 * As with a full disk: the newest key served must be remembered all the same, or a loss looks like
 * a first start.
 */
static void test_state_that_could_not_be_kept_is_offered_again(void **state)
{
    struct world *world = *state;
    world_serve(world);
    unsigned current = world->state[STATE_CURRENT].puts;
    unsigned seeds = world->state[STATE_SEEDS].puts;
    service_stored(world->service, STATE_CURRENT, FAIL_DETAIL(E_SYSTEM, ENOSPC, "no"));
    service_stored(world->service, STATE_SEEDS, FAIL_DETAIL(E_SYSTEM, ENOSPC, "no"));
    world_pass(world, 15000);
    assert_int_equal(world->state[STATE_CURRENT].puts, current);
    assert_int_equal(world->state[STATE_SEEDS].puts, seeds);
    world_pass(world, 10000);
    assert_int_equal(world->state[STATE_CURRENT].puts, current + 1);
    assert_int_equal(world->state[STATE_SEEDS].puts, seeds + 1);
}

static void test_restart_with_a_broken_seeds_file_makes_a_new_seed(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world->state[STATE_SEEDS].bytes[3] ^= 1;
    world_kill(world);
    unsigned wraps = fake_token_calls(world->token, IPC_WRAP);
    world_serve(world);
    assert_int_equal(fake_token_calls(world->token, IPC_WRAP), wraps + 1);
    assert_string_equal(world_status_of(world)->healthz, "ok");
}

static void test_outage_coast_then_soft_then_hard(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer known = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    world_token_away(world);
    world_pass(world, 2 * MINUTE);
    assert_state(world, "COAST");
    assert_string_equal(world_status_of(world)->healthz, "ok");
    world_pass(world, HOUR);
    assert_state(world, "SOFT");
    assert_string_not_equal(world_status_of(world)->healthz, "ok");
    assert_int_equal(world_status_of(world)->code, E_NONE);
    int32_t legacy = world_status(world, SERVICE_AUTHORITY_PATH);
    assert_string_equal(world->answers[legacy].healthz, "ok");
    assert_answer_ok(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"));
    world_pass(world, 24 * (int64_t)HOUR);
    assert_state(world, "HARD");
    assert_int_equal(world_status_of(world)->code, E_STATE);
    assert_answer_fails(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"), E_STATE);
    assert_answer_fails(world, world_encrypt(world, CODEC_V1_ENCRYPT, "x"), E_STATE);
    assert_answer_ok(world, world_decrypt_of(world, &known));
    world_token_back(world);
    world_pass(world, 5000);
    assert_state(world, "OK");
    assert_answer_ok(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"));
}

static void test_outage_hard_is_remembered_across_a_restart(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_token_away(world);
    world_pass(world, 26 * (int64_t)HOUR);
    world_kill(world);
    world_start_alone(world);
    world_pass(world, 1500);
    assert_int_equal(world_status_of(world)->code, E_STATE);
    world_token_back(world);
    world_pass(world, 3000);
    assert_string_equal(world_status_of(world)->healthz, "ok");
}

static void test_outage_too_old_at_start_is_unavailable(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_token_away(world);
    world_pass(world, 2 * HOUR);
    world_kill(world);
    world_start_alone(world);
    world_pass(world, 1500);
    assert_int_equal(world_status_of(world)->code, E_NONE);
    world_pass(world, 24 * (int64_t)HOUR);
    assert_int_equal(world_status_of(world)->code, E_UNAVAILABLE);
}

static void test_outage_decrypt_of_an_unknown_seed_is_unavailable(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    world_token_away(world);
    int32_t stream = world_decrypt_of(world, &foreign);
    world_pass(world, 2400);
    assert_false(world->answers[stream].has);
    world_pass(world, 200);
    assert_answer_fails(world, stream, E_UNAVAILABLE);
}

static void test_outage_call_is_served_when_the_token_returns_in_time(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    world_token_away(world);
    int32_t stream = world_decrypt_of(world, &foreign);
    world_pass(world, 1000);
    world_token_back(world);
    world_pass(world, 100);
    assert_answer_ok(world, stream);
}

static void test_loss_soft_and_hard_policies(void **state)
{
    struct world *world = *state;
    world->config.on_token_loss = CONFIG_LOSS_SOFT;
    world_serve(world);
    world_token_away(world);
    world_pass(world, 61000);
    assert_state(world, "SOFT");
    world_kill(world);
    world->config.on_token_loss = CONFIG_LOSS_HARD;
    world_serve(world);
    assert_state(world, "OK");
    world_token_away(world);
    world_pass(world, 61000);
    assert_state(world, "HARD");
}

static void test_kek_deleted_is_hard_after_two_looks(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_pass(world, MINUTE);
    fake_token_key(world->token, 0)->gone = true;
    world_pass(world, 30000);
    assert_state(world, "HARD");
    const struct answer *answer = world_status_of(world);
    assert_int_equal(answer->code, E_STATE);
    assert_non_null(strstr(answer->text, "is no longer on token"));
    fake_token_key(world->token, 0)->gone = false;
    world_pass(world, 30000);
    assert_state(world, "OK");
}

static void kek_id_of(struct world *world, uint8_t kek_id[KEK_ID_LEN])
{
    struct ipc_key_ref ref = fake_token_ref(world->token, 0);
    assert_ok(key_id_kek(ENVELOPE_AES_GCM, span_of(ref.id, ref.id_len),
                         span_of(ref.fingerprint, ref.fingerprint_len), kek_id));
}

/*
 * Of two keys with the same dates the smaller kek_id ranks above: the new value ranks below the old
 * one.
 */
static void test_kek_replaced_under_the_same_id_is_hard(void **state)
{
    struct world *world = *state;
    uint8_t before[KEK_ID_LEN];
    uint8_t after[KEK_ID_LEN];
    world_serve(world);
    kek_id_of(world, before);
    do {
        fake_token_key(world->token, 0)->value[0]++;
        kek_id_of(world, after);
    } while (memcmp(after, before, KEK_ID_LEN) <= 0);
    world_pass(world, 30000);
    assert_state(world, "HARD");
    assert_answer_fails(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"), E_STATE);
}

static void test_kek_attribute_turned_bad_is_hard_and_named(void **state)
{
    struct world *world = *state;
    world_serve(world);
    fake_token_key(world->token, 0)->bad = IPC_ATTR_EXTRACTABLE;
    world_pass(world, 30000);
    assert_state(world, "HARD");
    fake_token_key(world->token, 0)->bad = 0;
    world_pass(world, 30000);
    assert_state(world, "OK");
}

static void test_kek_with_a_bad_attribute_never_seals(void **state)
{
    struct world *world = *state;
    fake_token_key(world->token, 0)->not_reported = IPC_ATTR_NEVER_EXTRACTABLE;
    world_start(world);
    world_pass(world, 10000);
    assert_int_equal(world_status_of(world)->code, E_UNAVAILABLE);
    assert_non_null(strstr(world_status_of(world)->text, "CKA_NEVER_EXTRACTABLE"));
    assert_int_equal(fake_token_calls(world->token, IPC_WRAP), 0);
}

static void test_canary_wrong_once_is_not_believed(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_pass(world, 1000);
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    world_pass(world, 60000);
    assert_state(world, "OK");
}

static void test_token_that_hangs_is_reported_until_it_is_gone(void **state)
{
    struct world *world = *state;
    world_serve(world);
    fake_token_hang(world->token, true);
    world_pass(world, 19000);
    assert_int_equal(world->hung, 1);
    world_pass(world, 41000);
    assert_in_range(world->hung, 4, 6);
    assert_string_equal(world_status_of(world)->healthz, "ok");
    fake_token_hang(world->token, false);
    world_token_back(world);
    world_pass(world, 5000);
    assert_state(world, "OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_start_first_status_waits_for_the_first_proof),
        IN_WORLD(test_start_first_status_waits_one_second_at_most),
        IN_WORLD(test_start_with_nothing_remembered_is_unavailable),
        IN_WORLD(test_start_with_no_kek_says_init),
        IN_WORLD(test_start_encrypt_waits_then_is_unavailable),
        IN_WORLD(test_start_text_of_the_token_is_the_mend),
        IN_WORLD(test_restart_seals_on_with_the_remembered_seed),
        IN_WORLD(test_restart_reopens_foreign_seeds_before_anyone_asks),
        IN_WORLD(test_state_that_could_not_be_kept_is_offered_again),
        IN_WORLD(test_restart_with_a_broken_seeds_file_makes_a_new_seed),
        IN_WORLD(test_outage_coast_then_soft_then_hard),
        IN_WORLD(test_outage_hard_is_remembered_across_a_restart),
        IN_WORLD(test_outage_too_old_at_start_is_unavailable),
        IN_WORLD(test_outage_decrypt_of_an_unknown_seed_is_unavailable),
        IN_WORLD(test_outage_call_is_served_when_the_token_returns_in_time),
        IN_WORLD(test_loss_soft_and_hard_policies),
        IN_WORLD(test_kek_deleted_is_hard_after_two_looks),
        IN_WORLD(test_kek_replaced_under_the_same_id_is_hard),
        IN_WORLD(test_kek_attribute_turned_bad_is_hard_and_named),
        IN_WORLD(test_kek_with_a_bad_attribute_never_seals),
        IN_WORLD(test_canary_wrong_once_is_not_believed),
        IN_WORLD(test_token_that_hangs_is_reported_until_it_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
