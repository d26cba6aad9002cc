/*
 * What passes with time, with cancelling and with closed windows: nothing waits for ever, nothing
 * leaks.
 */
#include "server/http2/session.h"

#include "server/http2/stream.h"
#include "tests/kit/rig_unit.h"

#define CANCEL 8u

static void call_with_timeout(struct rig *rig, int32_t stream, const char *timeout)
{
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_request_set(&request, "grpc-timeout", timeout);
    wire_headers(&rig->to_send, stream, WIRE_END_HEADERS, &request);
    wire_message(&rig->to_send, stream, WIRE_END_STREAM, BYTES("x"));
    rig_run(rig);
}

static void test_timeout_becomes_the_deadline_of_the_call(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"2999210u", 3000}, {"99999999n", 100}, {"3S", 3000},
                 {"1M", 60000},      {"1H", 3600000},    {"100000m", 100000}};
    for (int i = 0; i < 6; i++) {
        call_with_timeout(rig, 2 * i + 1, cases[i].text);
        assert_status(rig, 2 * i + 1, "0");
        assert_int_equal(rig->service.last.deadline_ms - rig->now_ms, cases[i].ms);
    }
    const char *bad[] = {"100000000m", "3", "-1S", "S", "", "3 S"};
    for (int i = 0; i < 6; i++) {
        call_with_timeout(rig, 2 * i + 101, bad[i]);
        assert_status(rig, 2 * i + 101, "13");
    }
    assert_int_equal(rig->service.calls, 6);
}

static void test_deadline_is_answered_and_the_call_cancelled(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    rig->service.mode = FAKE_PEND;
    call_with_timeout(rig, 1, "3S");
    call_with_timeout(rig, 3, "4S");
    assert_true(h2_session_next_ms(rig->session) <= rig->now_ms + 3000);
    rig_pass(rig, 2999);
    assert_int_equal(rig->service.cancels, 0);
    rig_pass(rig, 1);
    assert_int_equal(rig->service.cancels, 1);
    assert_status(rig, 1, "4");
    assert_true(h2_session_next_ms(rig->session) == rig->now_ms + 1000);
    struct service_reply late = fake_service_ok(3);
    h2_session_reply(rig->session, 1, &late, rig->now_ms);
    assert_null(late.body);
    rig_pull(rig);
    assert_string_equal(rig_answer(rig, 3)->grpc_status, "");
    rig_reply(rig, 0, fake_service_ok(3));
    assert_status(rig, 3, "0");
    assert_int_equal(rig_answer(rig, 3)->body_len, 8);
}

static void test_request_not_complete_in_five_seconds_is_answered(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS, &request);
    wire_frame(&rig->to_send, WIRE_DATA, 0, 1,
               BYTES("\0\0\0\0\x05"
                     "abc"));
    rig_run(rig);
    rig_pass(rig, H2_REQUEST_MS - 1);
    assert_false(rig_answer(rig, 1)->ended);
    rig_pass(rig, 1);
    assert_status(rig, 1, "4");
    assert_true(rig_answer(rig, 1)->reset);
    assert_int_equal(h2_shared_calls(rig->shared), 0);
    assert_int_equal(rig->peer->goaways, 1);
    assert_true(h2_session_done(rig->session));
}

static void test_deadline_before_the_body_is_whole_keeps_the_session(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_request_set(&request, "grpc-timeout", "1S");
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS, &request);
    rig_run(rig);
    rig_pass(rig, 1000);
    assert_status(rig, 1, "4");
    assert_still_serves(rig, 3);
}

static void test_abandon_leaves_no_call_without_an_answer(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    rig->service.mode = FAKE_PEND;
    wire_call(&rig->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_headers(&rig->to_send, 3, WIRE_END_HEADERS, &request);
    rig_run(rig);
    h2_session_abandon(rig->session, rig->now_ms);
    rig_pull(rig);
    assert_status(rig, 1, "14");
    assert_status(rig, 3, "14");
    assert_int_equal(rig->service.cancels, 1);
    assert_int_equal(rig->peer->goaways, 1);
    assert_true(h2_session_done(rig->session));
}

static void test_header_block_not_complete_in_five_seconds_ends_the_session(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_headers(&rig->to_send, 1, 0, &request);
    rig_run(rig);
    rig_pass(rig, H2_REQUEST_MS);
    assert_int_equal(rig->peer->goaways, 1);
    assert_true(h2_session_done(rig->session));
}

static void test_peer_without_settings_for_five_seconds_is_let_go(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new_silent(H2_SERVE);
    rig_pass(rig, H2_SETTINGS_MS - 1);
    assert_false(h2_session_done(rig->session));
    rig_pass(rig, 1);
    assert_true(h2_session_done(rig->session));
}

static void test_idle_session_stays_open(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    assert_still_serves(rig, 1);
    for (int i = 0; i < 40; i++) {
        rig_pass(rig, 60000);
        assert_false(h2_session_done(rig->session));
    }
    assert_true(h2_session_next_ms(rig->session) == INT64_MAX);
    assert_still_serves(rig, 3);
}

static void test_cancelled_streams_are_forgotten_without_goaway(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    rig->service.mode = FAKE_PEND;
    for (int32_t n = 0; n < 5000; n++) {
        wire_call(&rig->to_send, 2 * n + 1, PATH_ENCRYPT, BYTES("x"));
        wire_reset(&rig->to_send, 2 * n + 1, CANCEL);
        rig_run(rig);
        assert_int_equal(rig->service.pending_n, 0);
    }
    assert_int_equal(rig->service.cancels, 5000);
    assert_int_equal(h2_shared_calls(rig->shared), 0);
    assert_still_serves(rig, 10001);
}

static void test_reset_in_the_middle_of_a_body_frees_it(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS, &request);
    wire_frame(&rig->to_send, WIRE_DATA, 0, 1,
               BYTES("\0\0\0\0\x05"
                     "abc"));
    rig_run(rig);
    assert_int_equal(secret_in_use(SECRET_2KIB), 1);
    wire_reset(&rig->to_send, 1, CANCEL);
    rig_run(rig);
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
    assert_int_equal(rig->service.cancels, 0);
    assert_still_serves(rig, 3);
}

static void test_closed_window_stalls_its_own_answer_only(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    rig->service.mode = FAKE_LARGE;
    rig->service.large = 65530; /* one whole window with its prefix is 65535 */
    wire_settings(&rig->to_send, 4, 1000);
    wire_call(&rig->to_send, 1, PATH_DECRYPT, BYTES("x"));
    rig_run(rig);
    assert_int_equal(rig_answer(rig, 1)->body_len, 1000);
    assert_false(rig_answer(rig, 1)->ended);
    assert_still_serves(rig, 3);
    wire_window(&rig->to_send, 1, 70000);
    wire_window(&rig->to_send, 0, 70000);
    rig_run(rig);
    assert_status(rig, 1, "0");
    assert_int_equal(rig_answer(rig, 1)->body_len, 65535);
}

static void test_answer_not_taken_in_ten_seconds_is_dropped(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    wire_settings(&rig->to_send, 4, 0);
    wire_call(&rig->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    rig_run(rig);
    rig_pass(rig, H2_TAKE_MS - 1);
    assert_int_equal(h2_shared_calls(rig->shared), 1);
    rig_pass(rig, 1);
    assert_true(rig_answer(rig, 1)->reset);
    assert_int_equal(rig_answer(rig, 1)->reset_code, CANCEL);
    assert_int_equal(h2_shared_calls(rig->shared), 0);
    wire_settings(&rig->to_send, 4, 65535);
    rig_run(rig);
    assert_still_serves(rig, 3);
}

static void test_pull_with_little_room_says_everything_in_pieces(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    rig->pull_room = H2_PULL_MIN;
    rig->service.mode = FAKE_LARGE;
    rig->service.large = 5000;
    for (int32_t n = 0; n < 8; n++) {
        wire_call(&rig->to_send, 2 * n + 1, PATH_DECRYPT, BYTES("x"));
    }
    wire_call(&rig->to_send, 17, "/nope", BYTES(""));
    rig_run(rig);
    for (int32_t n = 0; n < 8; n++) {
        assert_status(rig, 2 * n + 1, "0");
        assert_int_equal(rig_answer(rig, 2 * n + 1)->body_len, 5005);
        for (size_t i = 5; i < 5005; i++) {
            assert_int_equal(rig_answer(rig, 2 * n + 1)->body[i], 'r');
        }
    }
    assert_status(rig, 17, "12");
}

static void test_reset_while_its_data_frame_waits_for_room(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    static uint8_t room[H2_PULL_MIN];
    rig->service.mode = FAKE_LARGE;
    rig->service.large = 9000;
    wire_call(&rig->to_send, 1, PATH_DECRYPT, BYTES("x"));
    assert_ok(h2_session_feed(rig->session, wire_bytes(&rig->to_send), rig->now_ms));
    rig->to_send.len = 0;
    wire_peer_read(rig->peer,
                   span_of(room, h2_session_pull(rig->session, span_mut_of(room, sizeof(room)))));
    wire_reset(&rig->to_send, 1, CANCEL);
    rig_run(rig);
    assert_int_equal(h2_shared_calls(rig->shared), 0);
    assert_still_serves(rig, 3);
}

static void test_drain_says_goodbye_twice_and_finishes_what_runs(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    rig->service.mode = FAKE_PEND;
    wire_call(&rig->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    rig_run(rig);
    h2_session_drain(rig->session, rig->now_ms);
    rig_pull(rig);
    assert_int_equal(rig->peer->goaways, 1);
    assert_int_equal(rig->peer->goaway_last, INT32_MAX);
    assert_int_equal(rig->peer->goaway_code, 0);
    wire_call(&rig->to_send, 3, PATH_ENCRYPT, BYTES("x")); /* was on its way */
    wire_frame(&rig->to_send, WIRE_PING, WIRE_ACK, 0, span_of(rig->peer->ping, 8));
    wire_call(&rig->to_send, 5, PATH_ENCRYPT, BYTES("x"));
    rig_run(rig);
    assert_int_equal(rig->peer->goaways, 2);
    assert_int_equal(rig->peer->goaway_last, 3);
    assert_int_equal(rig->service.pending_n, 2);
    assert_false(h2_session_done(rig->session));
    rig_reply(rig, 0, fake_service_ok(3));
    rig_reply(rig, 0, fake_service_ok(3));
    assert_status(rig, 1, "0");
    assert_status(rig, 3, "0");
    assert_true(h2_session_done(rig->session));
}

static void test_drain_of_a_peer_that_does_not_answer_goes_on_after_a_second(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    h2_session_drain(rig->session, rig->now_ms);
    rig_pull(rig);
    rig_pass(rig, H2_DRAIN_MS - 1);
    assert_int_equal(rig->peer->goaways, 1);
    rig_pass(rig, 1);
    assert_int_equal(rig->peer->goaways, 2);
    assert_true(h2_session_done(rig->session));
}

static void test_peer_that_says_goaway_is_done_with(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    assert_still_serves(rig, 1);
    wire_frame(&rig->to_send, WIRE_GOAWAY, 0, 0,
               BYTES("\0\0\0\0\0\0\0\0client transport shutdown"));
    rig_run(rig);
    assert_true(h2_session_done(rig->session));
}

static void test_free_cancels_what_waits(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    rig->service.mode = FAKE_PEND;
    for (int32_t n = 0; n < 100; n++) {
        wire_call(&rig->to_send, 2 * n + 1, PATH_ENCRYPT, BYTES("x"));
    }
    rig_run(rig);
    assert_int_equal(rig->service.pending_n, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeout_becomes_the_deadline_of_the_call),
        cmocka_unit_test(test_deadline_is_answered_and_the_call_cancelled),
        cmocka_unit_test(test_request_not_complete_in_five_seconds_is_answered),
        cmocka_unit_test(test_deadline_before_the_body_is_whole_keeps_the_session),
        cmocka_unit_test(test_abandon_leaves_no_call_without_an_answer),
        cmocka_unit_test(test_header_block_not_complete_in_five_seconds_ends_the_session),
        cmocka_unit_test(test_peer_without_settings_for_five_seconds_is_let_go),
        cmocka_unit_test(test_idle_session_stays_open),
        cmocka_unit_test(test_cancelled_streams_are_forgotten_without_goaway),
        cmocka_unit_test(test_reset_in_the_middle_of_a_body_frees_it),
        cmocka_unit_test(test_closed_window_stalls_its_own_answer_only),
        cmocka_unit_test(test_answer_not_taken_in_ten_seconds_is_dropped),
        cmocka_unit_test(test_pull_with_little_room_says_everything_in_pieces),
        cmocka_unit_test(test_reset_while_its_data_frame_waits_for_room),
        cmocka_unit_test(test_drain_says_goodbye_twice_and_finishes_what_runs),
        cmocka_unit_test(test_drain_of_a_peer_that_does_not_answer_goes_on_after_a_second),
        cmocka_unit_test(test_peer_that_says_goaway_is_done_with),
        cmocka_unit_test(test_free_cancels_what_waits),
    };
    return cmocka_run_group_tests_name("http2/time", tests, setup, teardown);
}
