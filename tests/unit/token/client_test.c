/* Calls: order, bounds, expiry, death of the process, cancelling. */
#include "base/secret.h"
#include "tests/unit/token/client_rig.h"

static void test_call_wrap_then_unwrap_gives_the_plaintext(void **state)
{
    (void)state;
    connect_token();
    call(IPC_WRAP, CLIENT_LIVE, 1);
    settle();
    assert_answer(1, E_NONE);
    struct client_request r = request(IPC_UNWRAP, CLIENT_LIVE, 2);
    r.data = span_of(t.heard[0].data, t.heard[0].len);
    assert_ok(client_call(t.client, &r, t.now_ms));
    settle();
    assert_answer(2, E_NONE);
    assert_int_equal(t.heard[1].len, 4);
    assert_memory_equal(t.heard[1].data, "seed", 4);
    assert_int_equal(client_load(t.client), 0);
}

static void test_call_never_calls_back_itself(void **state)
{
    (void)state;
    connect_token();
    call(IPC_RANDOM, CLIENT_LIVE, 1);
    assert_int_equal(t.heard_n, 0);
    assert_true(client_next_ms(t.client) <= t.now_ms);
    settle();
    assert_answer(1, E_NONE);
    assert_int_equal(t.heard[0].len, 32);
}

static void test_call_classes_are_served_in_their_order(void **state)
{
    (void)state;
    connect_token();
    call(IPC_RANDOM, CLIENT_BACKGROUND, 1);
    call(IPC_RANDOM, CLIENT_LIVE, 2);
    call(IPC_RANDOM, CLIENT_KNOWN, 3);
    call(IPC_RANDOM, CLIENT_CANARY, 4);
    call(IPC_RANDOM, CLIENT_LIVE, 5);
    settle();
    static const uint64_t order[] = {4, 3, 2, 5, 1};
    assert_int_equal(t.heard_n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(t.heard[i].id, order[i]);
    }
}

static void test_call_never_more_in_flight_than_the_window(void **state)
{
    (void)state;
    connect_token();
    for (uint64_t i = 0; i < WINDOW + 1; i++) {
        call(IPC_RANDOM, CLIENT_LIVE, i);
    }
    client_tick(t.client, t.now_ms);
    assert_int_equal(fake_token_pump(t.token), WINDOW);
    client_readable(t.client, t.now_ms);
    assert_int_equal(fake_token_pump(t.token), 1);
}

static void test_call_queue_full_at_256_refuses_the_next(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < CLIENT_QUEUE_MAX; i++) {
        call(IPC_RANDOM, CLIENT_LIVE, i);
    }
    struct client_request r = request(IPC_RANDOM, CLIENT_CANARY, 999);
    assert_fails(client_call(t.client, &r, t.now_ms), E_LIMIT);
    assert_int_equal(client_load(t.client), CLIENT_QUEUE_MAX);
    cancel(0);
    assert_ok(client_call(t.client, &r, t.now_ms));
    connect_token();
    assert_int_equal(t.heard_n, CLIENT_QUEUE_MAX);
    assert_answer(999, E_NONE);
}

static void test_call_arena_used_up_is_refused_and_nothing_queued(void **state)
{
    (void)state;
    struct secret *all[300] = {0};
    size_t n = 0;
    while (n < 300 && !failed(secret_new(SECRET_2KIB, 1, &all[n]))) {
        n++;
    }
    struct client_request r = request(IPC_RANDOM, CLIENT_LIVE, 1);
    assert_fails(client_call(t.client, &r, t.now_ms), E_LIMIT);
    assert_int_equal(client_load(t.client), 0);
    for (size_t i = 0; i < n; i++) {
        secret_free(all[i]);
    }
}

/* Whatever clients hold in the arena, the KEK can be proven and the ring be listed. */
static void test_call_arena_used_up_lets_two_canaries_through(void **state)
{
    (void)state;
    struct secret *all[300] = {0};
    size_t n = 0;
    connect_token();
    while (n < 300 && !failed(secret_new(SECRET_2KIB, 1, &all[n]))) {
        n++;
    }
    for (uint64_t round = 0; round < 3; round++) {
        call(IPC_RANDOM, CLIENT_CANARY, 10 * round + 1);
        call(IPC_LIST, CLIENT_CANARY, 10 * round + 2);
        struct client_request r = request(IPC_RANDOM, CLIENT_CANARY, 10 * round + 3);
        assert_fails(client_call(t.client, &r, t.now_ms), E_LIMIT);
        settle();
        assert_answer(10 * round + 1, E_NONE);
        assert_answer(10 * round + 2, E_NONE);
    }
    for (size_t i = 0; i < n; i++) {
        secret_free(all[i]);
    }
}

static void test_call_sizes_out_of_range_are_refused(void **state)
{
    (void)state;
    static const uint8_t big[2048];
    struct client_request r = request(IPC_WRAP, CLIENT_LIVE, 1);
    r.data = span_of(big, sizeof(big) - sizeof(struct ipc_crypt));
    assert_ok(client_call(t.client, &r, t.now_ms));
    r.data = span_of(big, sizeof(big) - sizeof(struct ipc_crypt) + 1);
    assert_fails(client_call(t.client, &r, t.now_ms), E_INVALID);
    r = request(IPC_WRAP, CLIENT_LIVE, 1);
    r.aad = span_of(big, IPC_AAD_MAX + 1);
    assert_fails(client_call(t.client, &r, t.now_ms), E_INVALID);
    r = request(IPC_WRAP, CLIENT_LIVE, 1);
    r.key.id_len = 0;
    assert_fails(client_call(t.client, &r, t.now_ms), E_INVALID);
    r = request(IPC_RANDOM, CLIENT_LIVE, 1);
    r.random_n = 257;
    assert_fails(client_call(t.client, &r, t.now_ms), E_INVALID);
    r = request(IPC_WRAP, CLIENT_LIVE, 1);
    r.data = span_of(NULL, 0);
    assert_fails(client_call(t.client, &r, t.now_ms), E_INVALID);
    r = request(IPC_LIST, CLIENT_LIVE, 1);
    r.list.has_serving = 1;
    assert_fails(client_call(t.client, &r, t.now_ms), E_INVALID);
    r = request(IPC_GENERATE, CLIENT_LIVE, 1);
    r.generate.ring[0] = '\0';
    assert_fails(client_call(t.client, &r, t.now_ms), E_INVALID);
    r = request(IPC_PROBE, CLIENT_LIVE, 1);
    assert_fails(client_call(t.client, &r, t.now_ms), E_BUG);
}

static void test_expiry_without_a_token_is_unavailable_at_the_deadline(void **state)
{
    (void)state;
    call(IPC_UNWRAP, CLIENT_LIVE, 1);
    assert_int_equal(client_next_ms(t.client), t.now_ms + 2000);
    later(1999);
    assert_int_equal(t.heard_n, 0);
    later(1);
    assert_answer(1, E_UNAVAILABLE);
    assert_int_equal(client_next_ms(t.client), INT64_MAX);
}

static void test_expiry_far_deadline_is_capped(void **state)
{
    (void)state;
    struct client_request r = request(IPC_UNWRAP, CLIENT_LIVE, 1);
    r.deadline_ms = t.now_ms + 60000;
    assert_ok(client_call(t.client, &r, t.now_ms));
    r = request(IPC_LIST, CLIENT_LIVE, 2);
    r.deadline_ms = t.now_ms + 60000;
    assert_ok(client_call(t.client, &r, t.now_ms));
    later(CLIENT_CALL_MS);
    assert_answer(1, E_UNAVAILABLE);
    assert_null(answer_to(2));
    later(10000 - CLIENT_CALL_MS);
    assert_answer(2, E_UNAVAILABLE);
}

static void test_expiry_waiting_behind_a_busy_token_never_reaches_it(void **state)
{
    (void)state;
    connect_token();
    fake_token_hang(t.token, true);
    for (uint64_t i = 0; i < WINDOW + 1; i++) {
        call(IPC_RANDOM, CLIENT_LIVE, i);
    }
    settle();
    later(2000);
    assert_answer(WINDOW, E_DEADLINE);
    fake_token_hang(t.token, false);
    settle();
    assert_int_equal(fake_token_calls(t.token, IPC_RANDOM), WINDOW);
}

static void test_expiry_in_flight_answers_once_and_ignores_the_late_reply(void **state)
{
    (void)state;
    connect_token();
    fake_token_fault(t.token, IPC_RANDOM, FAKE_DELAY);
    call(IPC_RANDOM, CLIENT_LIVE, 1);
    settle();
    later(2000);
    assert_answer(1, E_DEADLINE);
    assert_int_equal(client_load(t.client), 1); /* a session is still busy with it */
    fake_token_release(t.token);
    settle();
    assert_int_equal(t.heard_n, 1);
    assert_int_equal(client_load(t.client), 0);
    assert_true(client_fd(t.client) >= 0);
}

static void test_expiry_answer_that_never_comes_frees_the_session_in_the_end(void **state)
{
    (void)state;
    connect_token();
    for (uint64_t i = 0; i < WINDOW; i++) {
        fake_token_fault(t.token, IPC_RANDOM, FAKE_DELAY);
        call(IPC_RANDOM, CLIENT_LIVE, i);
    }
    settle();
    later(2000);
    later(15000);
    assert_int_equal(client_load(t.client), WINDOW);
    later(1);
    assert_int_equal(client_load(t.client), 0);
    call(IPC_RANDOM, CLIENT_LIVE, 10);
    settle();
    assert_answer(10, E_NONE);
    fake_token_release(t.token); /* far too late */
    settle();
    assert_int_equal(t.heard_n, WINDOW + 1);
    assert_true(client_fd(t.client) >= 0);
}

static void test_call_token_not_ready_waits_until_it_is(void **state)
{
    (void)state;
    fake_token_set_phase(t.token, IPC_PHASE_PIN, "write the right PIN");
    client_attach(t.client, fake_token_connect(t.token), t.now_ms);
    call(IPC_RANDOM, CLIENT_LIVE, 1);
    settle();
    assert_string_equal(client_status(t.client)->text, "write the right PIN");
    assert_int_equal(fake_token_calls(t.token, IPC_RANDOM), 0);
    fake_token_set_phase(t.token, IPC_PHASE_READY, "");
    settle();
    later(0); /* no time passed: the process said it unasked */
    assert_answer(1, E_NONE);
    assert_int_equal(t.statuses, 2);
}

static void test_death_wrap_and_unwrap_are_sent_once_more(void **state)
{
    (void)state;
    connect_token();
    fake_token_fault(t.token, IPC_WRAP, FAKE_CLOSE);
    call(IPC_WRAP, CLIENT_LIVE, 1);
    call(IPC_WRAP, CLIENT_LIVE, 2);
    call(IPC_WRAP, CLIENT_LIVE, 3);
    settle();
    assert_int_equal(client_fd(t.client), -1);
    assert_int_equal(client_status(t.client)->phase, IPC_PHASE_STARTING);
    assert_int_equal(t.heard_n, 0);
    connect_token();
    assert_int_equal(t.heard_n, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_answer(i, E_NONE);
        assert_int_equal(t.heard[i - 1].id, i); /* their order is kept */
    }
}

static void test_death_twice_under_one_call_fails_it(void **state)
{
    (void)state;
    connect_token();
    fake_token_fault(t.token, IPC_UNWRAP, FAKE_CLOSE);
    call(IPC_UNWRAP, CLIENT_LIVE, 1);
    settle();
    client_attach(t.client, fake_token_connect(t.token), t.now_ms);
    fake_token_fault(t.token, IPC_UNWRAP, FAKE_CLOSE);
    settle();
    assert_answer(1, E_UNAVAILABLE);
    assert_int_equal(fake_token_calls(t.token, IPC_UNWRAP), 2);
    connect_token();
    assert_int_equal(fake_token_calls(t.token, IPC_UNWRAP), 2);
}

static void test_death_generate_is_not_repeated(void **state)
{
    (void)state;
    connect_token();
    fake_token_fault(t.token, IPC_GENERATE, FAKE_CLOSE);
    call(IPC_GENERATE, CLIENT_CANARY, 1);
    settle();
    assert_answer(1, E_UNAVAILABLE);
    connect_token();
    assert_int_equal(fake_token_calls(t.token, IPC_GENERATE), 1);
}

static void test_death_no_successor_fails_at_the_deadline(void **state)
{
    (void)state;
    connect_token();
    fake_token_fault(t.token, IPC_UNWRAP, FAKE_CLOSE);
    call(IPC_UNWRAP, CLIENT_LIVE, 1);
    settle();
    later(2000);
    assert_answer(1, E_UNAVAILABLE);
}

static void test_cancel_waiting_call_never_reaches_the_token(void **state)
{
    (void)state;
    call(IPC_RANDOM, CLIENT_LIVE, 1);
    cancel(1);
    assert_int_equal(client_load(t.client), 0);
    connect_token();
    assert_int_equal(t.heard_n, 0);
    assert_int_equal(fake_token_calls(t.token, IPC_RANDOM), 0);
}

static void test_cancel_running_call_lets_its_reply_fall(void **state)
{
    (void)state;
    connect_token();
    call(IPC_RANDOM, CLIENT_LIVE, 1);
    client_tick(t.client, t.now_ms);
    cancel(1);
    cancel(77); /* nobody */
    settle();
    assert_int_equal(t.heard_n, 0);
    assert_int_equal(client_load(t.client), 0);
    assert_true(client_fd(t.client) >= 0);
}

static void test_cancel_ends_every_call_of_the_ctx_and_no_other(void **state)
{
    (void)state;
    connect_token();
    call(IPC_RANDOM, CLIENT_LIVE, 1);
    call(IPC_RANDOM, CLIENT_LIVE, 2);
    client_tick(t.client, t.now_ms);
    call(IPC_RANDOM, CLIENT_CANARY, 1);
    cancel(1);
    settle();
    assert_int_equal(t.heard_n, 1);
    assert_answer(2, E_NONE);
    assert_int_equal(client_load(t.client), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_call_wrap_then_unwrap_gives_the_plaintext),
        WITH_TOKEN(test_call_never_calls_back_itself),
        WITH_TOKEN(test_call_classes_are_served_in_their_order),
        WITH_TOKEN(test_call_never_more_in_flight_than_the_window),
        WITH_TOKEN(test_call_queue_full_at_256_refuses_the_next),
        WITH_TOKEN(test_call_arena_used_up_is_refused_and_nothing_queued),
        WITH_TOKEN(test_call_arena_used_up_lets_two_canaries_through),
        WITH_TOKEN(test_call_sizes_out_of_range_are_refused),
        WITH_TOKEN(test_expiry_without_a_token_is_unavailable_at_the_deadline),
        WITH_TOKEN(test_expiry_far_deadline_is_capped),
        WITH_TOKEN(test_expiry_waiting_behind_a_busy_token_never_reaches_it),
        WITH_TOKEN(test_expiry_in_flight_answers_once_and_ignores_the_late_reply),
        WITH_TOKEN(test_expiry_answer_that_never_comes_frees_the_session_in_the_end),
        WITH_TOKEN(test_call_token_not_ready_waits_until_it_is),
        WITH_TOKEN(test_death_wrap_and_unwrap_are_sent_once_more),
        WITH_TOKEN(test_death_twice_under_one_call_fails_it),
        WITH_TOKEN(test_death_generate_is_not_repeated),
        WITH_TOKEN(test_death_no_successor_fails_at_the_deadline),
        WITH_TOKEN(test_cancel_waiting_call_never_reaches_the_token),
        WITH_TOKEN(test_cancel_running_call_lets_its_reply_fall),
        WITH_TOKEN(test_cancel_ends_every_call_of_the_ctx_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
