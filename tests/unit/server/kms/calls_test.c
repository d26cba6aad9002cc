#include "server/kms/calls.h"

#include <string.h>

#include "tests/kit/unit.h"

static struct calls calls;

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front)) || failed(calls_init(&calls));
}

static int teardown(void **state)
{
    (void)state;
    calls_done(&calls);
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
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
                         .wait = {CALL_FOR_SEED, {(uint8_t)stream}}};
}

static void test_park_copies_the_payload(void **state)
{
    (void)state;
    char text[] = "plain";
    struct call call = call_of(CODEC_V2_ENCRYPT, 1);
    call.payload = span_of_text(text);
    assert_ok(calls_park(&calls, &call));
    memset(text, 'x', sizeof(text) - 1);
    struct parked *kept = calls_find(&calls, call.ticket);
    assert_non_null(kept);
    assert_memory_equal(kept->call.payload.ptr, "plain", 5);
    assert_int_equal(secret_in_use(SECRET_2KIB), 1);
    calls_end(&calls, kept);
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
    assert_null(calls_find(&calls, call.ticket));
}

static bool is_within(struct span part, struct span whole)
{
    return part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

/* What the envelope was parsed from is gone when the call is tried again. */
static void test_park_keeps_the_envelope_in_bytes_of_its_own(void **state)
{
    (void)state;
    struct call call = call_of(CODEC_V2_DECRYPT, 1);
    uint8_t bytes[ENVELOPE_MAX];
    struct writer w = writer_of(span_mut_of(bytes, sizeof(bytes)));
    const uint8_t wrapped[61] = {12};
    const struct envelope_head head = {
        .suite = ENVELOPE_SEED, .scheme = ENVELOPE_AES_GCM, .api = 2};
    envelope_write_head(&w, &head, span_of(wrapped, sizeof(wrapped)));
    (void)writer_room(&w, ENVELOPE_SALT + ENVELOPE_COMMIT + ENVELOPE_IV + 9 + ENVELOPE_TAG);
    call.payload = writer_done(&w);
    assert_ok(envelope_parse(call.payload, &call.envelope));
    assert_ok(calls_park(&calls, &call));
    const struct call *kept = &calls_find(&calls, call.ticket)->call;
    assert_ptr_not_equal(kept->payload.ptr, bytes);
    assert_true(is_within(kept->envelope.wrapped, kept->payload));
    assert_true(is_within(kept->envelope.before_iv, kept->payload));
    assert_ptr_equal(kept->envelope.tag.ptr, kept->payload.ptr + kept->payload.len - 16);
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
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
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
    assert_ok(secret_new(SECRET_2KIB, 8, &reply.body));
    calls_answer(&calls, calls_find(&calls, call.ticket), &reply);
    assert_null(reply.body);
    calls_end(&calls, calls_find(&calls, call.ticket));
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
    assert_false(calls_next_answer(&calls, &ticket, &reply));
}

static void test_wait_for_sees_only_calls_that_wait_for_just_that(void **state)
{
    (void)state;
    struct call call = call_of(CODEC_V2_DECRYPT, 7);
    const struct call_wait seven = {CALL_FOR_SEED, {7}};
    const struct call_wait eight = {CALL_FOR_SEED, {8}};
    const struct call_wait listing = {.what = CALL_FOR_LISTING};
    assert_false(calls_wait_for(&calls, &seven));
    assert_ok(calls_park(&calls, &call));
    assert_true(calls_wait_for(&calls, &seven));
    assert_false(calls_wait_for(&calls, &eight));
    assert_false(calls_wait_for(&calls, &listing));
    calls_find(&calls, call.ticket)->call.wait = listing;
    assert_false(calls_wait_for(&calls, &seven));
    assert_true(calls_wait_for(&calls, &listing));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_park_copies_the_payload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_park_keeps_the_envelope_in_bytes_of_its_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_park_513th_call_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_park_129th_plaintext_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_of_a_plaintext_gives_its_place_to_another, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_find_of_another_connection_or_generation_is_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_is_said_once_and_frees_the_place, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_answered_call_can_still_be_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wait_for_sees_only_calls_that_wait_for_just_that,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
