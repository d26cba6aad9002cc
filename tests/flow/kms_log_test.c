/* What is said, how often, and that what is written down stays true. */
#include <string.h>

#include "base/log_limit.h"
#include "tests/flow/kms_fixture.h"

#define MINUTE 60000

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
        assert_answer_fails(world, world_decrypt(world, CODEC_V2_DECRYPT, "no envelope", 11, "k"),
                            E_INVALID);
    }
    assert_int_equal(world_logged("decrypt-refused", NULL), LOG_LIMIT_LINES);
    world_pass(world, LOG_LIMIT_MS); /* nothing more comes */
    assert_int_equal(world_logged("decrypt-refused", NULL), LOG_LIMIT_LINES + 1);
    assert_int_equal(world_logged_number("decrypt-refused", "suppressed"), 5000 - LOG_LIMIT_LINES);
    world_pass(world, MINUTE);
    assert_int_equal(world_logged("decrypt-refused", NULL), LOG_LIMIT_LINES + 1);
}

static void test_key_without_a_name_is_said_once_and_again_when_its_fault_changes(void **state)
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
    assert_int_equal(world_logged("key-ignored", NULL), 1);
    assert_int_equal(world_logged("key-refused", "p11k:test:00000001:00000001"), 1);
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

/* After the one byte in front, no place where a text is cut lies between two characters. */
static void test_long_mend_is_cut_between_characters(void **state)
{
    struct world *world = *state;
    char text[1 + 4 * 90 + 1] = "x";
    for (size_t i = 0; i < 90; i++) {
        span_move(text + 1 + 4 * i, "\xf0\x9f\x94\x91", 4);
    }
    fake_token_set_phase(world->token, IPC_PHASE_NO_TOKEN, text);
    world_start(world);
    world_pass(world, 3000);
    int32_t stream = world_status(world, SERVICE_AUTHORITY_OTHER);
    assert_answer_fails(world, stream, E_UNAVAILABLE);
    assert_int_equal(strlen(world->answers[stream].text), 1 + 4 * 49);
    assert_true(span_is_text(span_of_text(world->answers[stream].text)));
    assert_int_equal(strlen(world->line), strlen("START: ") + 1 + 4 * 59);
    assert_true(span_is_text(span_of_text(world->line)));
    assert_string_equal(health_of(world).mend, text);
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

static void test_state_that_cannot_be_stored_is_said_once_for_each_reason(void **state)
{
    struct world *world = *state;
    world_serve(world);
    const err_t full = FAIL_DETAIL(E_SYSTEM, ENOSPC, "no");
    for (int i = 0; i < 100; i++) {
        service_stored(world->service, STATE_HEALTH, full);
        service_stored(world->service, STATE_SEEDS, OK);
    }
    assert_int_equal(world_logged("state-not-kept", NULL), 1);
    service_stored(world->service, STATE_HEALTH, FAIL_DETAIL(E_SYSTEM, EROFS, "no"));
    assert_int_equal(world_logged("state-not-kept", NULL), 2);
    service_stored(world->service, STATE_HEALTH, OK);
    service_stored(world->service, STATE_HEALTH, OK);
    assert_int_equal(world_logged("state-kept-again", NULL), 1);
    service_stored(world->service, STATE_HEALTH, full);
    assert_int_equal(world_logged("state-not-kept", NULL), 3);
}

/* One line when it begins, the mend while it lasts, and the count when it is over. */
static void test_limit_that_bites_is_said_once_and_stands_in_the_mend(void **state)
{
    struct world *world = *state;
    world_serve(world);
    for (int i = 0; i < 90; i++) {
        service_limit_bites(world->service, LIMIT_CONNECTIONS);
        world_pass(world, 1000);
    }
    assert_string_equal(health_of(world).state, "OK");
    assert_non_null(strstr(health_of(world).mend, "all connections are taken"));
    assert_non_null(strstr(world->line, "all connections are taken"));
    assert_int_equal(world_logged("limit-bites", "connections"), 1);
    world_pass(world, MINUTE + 1000);
    assert_string_equal(health_of(world).mend, "");
    assert_int_equal(world_logged("limit-over", "connections"), 1);
    assert_int_equal(world_logged_number("limit-over", "times"), 90);
    service_limit_bites(world->service, LIMIT_CONNECTIONS);
    assert_int_equal(world_logged("limit-bites", "connections"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_refused_decrypts_leave_ten_lines_and_a_count),
        IN_WORLD(test_key_without_a_name_is_said_once_and_again_when_its_fault_changes),
        IN_WORLD(test_mend_in_the_state_file_follows_while_the_state_stays),
        IN_WORLD(test_long_mend_is_cut_between_characters),
        IN_WORLD(test_mend_that_changes_without_end_is_written_once_a_second),
        IN_WORLD(test_state_that_cannot_be_stored_is_said_once_for_each_reason),
        IN_WORLD(test_limit_that_bites_is_said_once_and_stands_in_the_mend),
        IN_WORLD(test_key_id_in_the_state_file_follows_a_rotation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
