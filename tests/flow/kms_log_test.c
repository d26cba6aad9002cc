/* What is said, how often, and that what is written down stays true. */
#include <string.h>

#include "base/log_limit.h"
#include "tests/flow/kms_world.h"

#define MINUTE 60000

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

static struct state_health health_of(const struct world *world)
{
    struct state_health record;
    assert_true(world->state[STATE_HEALTH].has);
    assert_ok(state_health_parse(
        span_of(world->state[STATE_HEALTH].bytes, world->state[STATE_HEALTH].len), &record));
    return record;
}

static void test_refused_decrypts_leave_ten_lines_and_a_count(void **state)
{
    struct world *world = *state;
    world_serve(world);
    for (unsigned i = 0; i < 5000; i++) {
        world->next_stream = 100;
        assert_answer_fails(world, world_decrypt(world, CODEC_V2_DECRYPT, "no envelope", 11, "k"), E_INVALID);
    }
    assert_int_equal(world_logged("decrypt-refused", NULL), LOG_LIMIT_LINES);
    world_pass(world, LOG_LIMIT_MS); /* nothing more comes */
    assert_int_equal(world_logged("decrypt-refused", NULL), LOG_LIMIT_LINES + 1);
    assert_int_equal(world_logged_number("decrypt-refused", "suppressed"), 5000 - LOG_LIMIT_LINES);
    world_pass(world, MINUTE);
    assert_int_equal(world_logged("decrypt-refused", NULL), LOG_LIMIT_LINES + 1);
}

static void test_ignored_key_is_said_once_and_again_when_its_fault_changes(void **state)
{
    struct world *world = *state;
    const char *label = "p11k:test:zzzzzzzz:00000000";
    size_t broken = fake_token_add_key(world->token, WORLD_RING, 1, 1);
    (void)snprintf(fake_token_key(world->token, broken)->label, 64, "%s", label);
    world_serve(world);
    world_pass(world, 10 * MINUTE);
    assert_int_equal(world_logged("key-ignored", label), 1);
    (void)snprintf(fake_token_key(world->token, broken)->label, 64, "p11k:test:00000001:00000001");
    fake_token_key(world->token, broken)->state = IPC_KEY_NO_ID;
    world_pass(world, 10 * MINUTE);
    assert_int_equal(world_logged("key-ignored", NULL), 2);
}

static void test_mend_in_the_state_file_follows_while_the_state_stays(void **state)
{
    struct world *world = *state;
    fake_token_set_phase(world->token, IPC_PHASE_PIN, "the PIN in /etc/pin was refused");
    world_start(world);
    world_pass(world, 3000);
    assert_string_equal(health_of(world).mend, "the PIN in /etc/pin was refused");
    unsigned puts = world->state[STATE_HEALTH].puts;
    fake_token_set_phase(world->token, IPC_PHASE_NO_TOKEN, "no token is labelled prod");
    world_pass(world, 2000);
    assert_string_equal(health_of(world).state, "START");
    assert_string_equal(health_of(world).mend, "no token is labelled prod");
    assert_int_equal(world->state[STATE_HEALTH].puts, puts + 1);
}

static void test_mend_that_changes_without_end_is_written_once_a_second(void **state)
{
    struct world *world = *state;
    world_start(world);
    unsigned puts = world->state[STATE_HEALTH].puts;
    for (int i = 0; i < 100; i++) {
        fake_token_set_phase(world->token, IPC_PHASE_NO_TOKEN, i % 2 == 0 ? "this" : "that");
        world_pass(world, 100);
    }
    assert_in_range(world->state[STATE_HEALTH].puts - puts, 5, 12);
}

static void test_key_id_in_the_state_file_follows_a_rotation(void **state)
{
    struct world *world = *state;
    world_serve(world);
    char before[sizeof(health_of(world).key_id)];
    (void)snprintf(before, sizeof(before), "%s", health_of(world).key_id);
    uint32_t now_s = (uint32_t)world_real_s();
    (void)fake_token_add_key(world->token, WORLD_RING, now_s + 60, now_s);
    for (int i = 0; i < 120 && strcmp(health_of(world).key_id, before) == 0; i++) {
        world_pass(world, 1000);
        const struct answer *status = &world->answers[world_status(world, SERVICE_AUTHORITY_OTHER)];
        if (strcmp(status->key_id, before) != 0) {
            world_pass(world, 1000);
            assert_string_equal(health_of(world).key_id, status->key_id);
        }
        world->next_stream = 1;
    }
    assert_string_not_equal(health_of(world).key_id, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused_decrypts_leave_ten_lines_and_a_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ignored_key_is_said_once_and_again_when_its_fault_changes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_mend_in_the_state_file_follows_while_the_state_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_mend_that_changes_without_end_is_written_once_a_second, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_key_id_in_the_state_file_follows_a_rotation, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
