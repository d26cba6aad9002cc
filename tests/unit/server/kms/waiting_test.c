/* calls and unwraps: who waits, what the token is asked for them, and what is left when they go. */
#include <string.h>

#include "server/kms/calls.h"
#include "server/kms/unwraps.h"
#include "tests/kit/unit.h"

static unsigned asked_n;
static unsigned cancelled_n;
static enum err_code client_says;

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms);
void __wrap_client_cancel(struct client *client, uint64_t cookie);

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms)
{
    (void)client;
    (void)request;
    (void)now_ms;
    asked_n++;
    return client_says == E_NONE ? OK : FAIL(E_LIMIT, "full");
}

void __wrap_client_cancel(struct client *client, uint64_t cookie)
{
    (void)client;
    (void)cookie;
    cancelled_n++;
}

static struct calls calls;
static struct unwraps unwraps;
static const struct ipc_key_ref ref = {.id_len = 16};

static int setup(void **state)
{
    (void)state;
    asked_n = cancelled_n = 0;
    client_says = E_NONE;
    unwraps_init(&unwraps, NULL, 0x100000);
    return failed(secret_init(&secret_budget_front)) || failed(calls_init(&calls));
}

static int teardown(void **state)
{
    (void)state;
    calls_done(&calls);
    assert_int_equal(secret_in_use(SECRET_SLOT), 0);
    assert_true(secret_free_space_is_zero());
    secret_done();
    return 0;
}

static struct call call_of(enum codec_method method, int32_t stream)
{
    return (struct call){.method = method,
                         .ticket = {1, 1, stream},
                         .expires_ms = 100 + stream,
                         .payload = span_of_text("payload"),
                         .wait = CALL_FOR_SEED,
                         .seed_key = {(uint8_t)stream}};
}

static void test_park_copies_the_payload(void **state)
{
    (void)state;
    char text[] = "plain";
    struct call call = call_of(CODEC_V2_ENCRYPT, 1);
    call.payload = span_of_text(text);
    assert_ok(calls_park(&calls, &call));
    memset(text, 'x', sizeof(text) - 1);
    struct call *kept = calls_find(&calls, call.ticket);
    assert_non_null(kept);
    assert_memory_equal(kept->payload.ptr, "plain", 5);
    assert_int_equal(secret_in_use(SECRET_SLOT), 1);
    calls_end(&calls, kept);
    assert_int_equal(secret_in_use(SECRET_SLOT), 0);
    assert_null(calls_find(&calls, call.ticket));
}

static void test_park_513th_call_is_refused(void **state)
{
    (void)state;
    for (int32_t i = 0; i < (int32_t)CALLS_MAX; i++) {
        struct call call = call_of(CODEC_V2_DECRYPT, i);
        assert_ok(calls_park(&calls, &call));
    }
    struct call call = call_of(CODEC_V2_DECRYPT, CALLS_MAX);
    assert_fails(calls_park(&calls, &call), E_LIMIT);
    assert_int_equal(calls_next_ms(&calls), 100);
}

static void test_park_129th_plaintext_is_refused(void **state)
{
    (void)state;
    for (int32_t i = 0; i < (int32_t)CALLS_SECRETS_MAX; i++) {
        struct call call = call_of(CODEC_V1_ENCRYPT, i);
        assert_ok(calls_park(&calls, &call));
    }
    struct call call = call_of(CODEC_V1_ENCRYPT, CALLS_SECRETS_MAX);
    assert_fails(calls_park(&calls, &call), E_LIMIT);
    call.method = CODEC_V1_DECRYPT;
    assert_ok(calls_park(&calls, &call));
}

static void test_end_of_a_plaintext_gives_its_place_to_another(void **state)
{
    (void)state;
    for (int32_t i = 0; i < 3 * (int32_t)CALLS_SECRETS_MAX; i++) {
        struct call call = call_of(CODEC_V2_ENCRYPT, i);
        assert_ok(calls_park(&calls, &call));
        calls_end(&calls, calls_find(&calls, call.ticket));
    }
}

/* A new peer in the slot of one that went begins with the same stream numbers. */
static void test_find_of_another_connection_or_generation_is_nothing(void **state)
{
    (void)state;
    struct call call = call_of(CODEC_V2_DECRYPT, 1);
    assert_ok(calls_park(&calls, &call));
    assert_null(calls_find(&calls, (struct ticket){1, 2, 1}));
    assert_null(calls_find(&calls, (struct ticket){2, 1, 1}));
    assert_null(calls_find(&calls, (struct ticket){1, 1, 3}));
    assert_non_null(calls_find(&calls, (struct ticket){1, 1, 1}));
}

static void test_answer_is_said_once_and_frees_the_place(void **state)
{
    (void)state;
    struct call call = call_of(CODEC_V2_ENCRYPT, 1);
    struct service_reply reply = {.err = FAIL(E_UNAVAILABLE, "x")};
    struct ticket ticket;
    assert_ok(calls_park(&calls, &call));
    assert_false(calls_next_answer(&calls, &ticket, &reply));
    calls_answer(&calls, calls_find(&calls, call.ticket), &reply);
    assert_int_equal(secret_in_use(SECRET_SLOT), 0);
    assert_int_equal(calls_next_ms(&calls), INT64_MAX);
    assert_true(calls_next_answer(&calls, &ticket, &reply));
    assert_int_equal(ticket.stream, 1);
    assert_int_equal(reply.err.code, E_UNAVAILABLE);
    assert_false(calls_next_answer(&calls, &ticket, &reply));
    assert_int_equal(calls.n, 0);
}

static void test_answered_call_can_still_be_cancelled(void **state)
{
    (void)state;
    struct call call = call_of(CODEC_V2_DECRYPT, 1);
    struct service_reply reply = {0};
    struct ticket ticket;
    assert_ok(calls_park(&calls, &call));
    assert_ok(secret_new(SECRET_SLOT, 8, &reply.body));
    calls_answer(&calls, calls_find(&calls, call.ticket), &reply);
    assert_null(reply.body);
    calls_end(&calls, calls_find(&calls, call.ticket));
    assert_int_equal(secret_in_use(SECRET_SLOT), 0);
    assert_false(calls_next_answer(&calls, &ticket, &reply));
}

static void test_want_seed_sees_only_calls_that_wait_for_it(void **state)
{
    (void)state;
    struct call call = call_of(CODEC_V2_DECRYPT, 7);
    const uint8_t other[32] = {8};
    assert_false(calls_want_seed(&calls, call.seed_key));
    assert_ok(calls_park(&calls, &call));
    assert_true(calls_want_seed(&calls, call.seed_key));
    assert_false(calls_want_seed(&calls, other));
    calls_find(&calls, call.ticket)->wait = CALL_FOR_LISTING;
    assert_false(calls_want_seed(&calls, call.seed_key));
}

static struct seed_name name_of(unsigned n)
{
    struct seed_name name = {.wrapped_len = 61};
    name.key[0] = (uint8_t)n;
    name.key[1] = (uint8_t)(n >> 8);
    return name;
}

static void test_unwraps_start_again_asks_once(void **state)
{
    (void)state;
    struct seed_name name = name_of(1);
    struct unwrap unwrap;
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 5));
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 6));
    assert_int_equal(asked_n, 1);
    assert_true(unwraps_take(&unwraps, 0x100001, &unwrap));
    assert_int_equal(unwrap.started_ms, 5);
    assert_false(unwraps_take(&unwraps, 0x100001, &unwrap));
}

static void test_unwraps_start_more_urgently_takes_over(void **state)
{
    (void)state;
    struct seed_name name = name_of(1);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_BACKGROUND, 5));
    assert_int_equal(unwraps.background_n, 1);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_KNOWN, 6));
    assert_int_equal(asked_n, 2);
    assert_int_equal(cancelled_n, 1);
    assert_int_equal(unwraps.background_n, 0);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_BACKGROUND, 7));
    assert_int_equal(asked_n, 2);
    assert_int_equal(unwraps.n, 1);
}

static void test_unwraps_start_past_the_limit_is_refused(void **state)
{
    (void)state;
    for (unsigned n = 0; n < UNWRAPS_MAX; n++) {
        struct seed_name name = name_of(n);
        assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 5));
    }
    struct seed_name name = name_of(UNWRAPS_MAX);
    assert_fails(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 5), E_LIMIT);
    struct seed_name known = name_of(1);
    assert_ok(unwraps_start(&unwraps, &known, &ref, CLIENT_LIVE, 5));
}

static void test_unwraps_start_with_a_full_client_leaves_nothing(void **state)
{
    (void)state;
    struct seed_name name = name_of(1);
    client_says = E_LIMIT;
    assert_fails(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 5), E_LIMIT);
    assert_int_equal(unwraps.n, 0);
}

static void test_unwraps_abandon_spares_the_background(void **state)
{
    (void)state;
    struct seed_name live = name_of(1);
    struct seed_name background = name_of(2);
    assert_ok(unwraps_start(&unwraps, &live, &ref, CLIENT_LIVE, 5));
    assert_ok(unwraps_start(&unwraps, &background, &ref, CLIENT_BACKGROUND, 5));
    unwraps_abandon(&unwraps, live.key);
    unwraps_abandon(&unwraps, background.key);
    assert_int_equal(cancelled_n, 1);
    assert_int_equal(unwraps.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_park_copies_the_payload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_park_513th_call_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_park_129th_plaintext_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_of_a_plaintext_gives_its_place_to_another, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_find_of_another_connection_or_generation_is_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_is_said_once_and_frees_the_place, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_answered_call_can_still_be_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_want_seed_sees_only_calls_that_wait_for_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_unwraps_start_again_asks_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unwraps_start_more_urgently_takes_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_unwraps_start_past_the_limit_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_unwraps_start_with_a_full_client_leaves_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_unwraps_abandon_spares_the_background, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
