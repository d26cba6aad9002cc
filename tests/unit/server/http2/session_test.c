/* The rules of a session that serves: what is answered, in which frames. */
#include "server/http2/session.h"

#include <string.h>

#include "tests/kit/rig_unit.h"

/* The framed message of an answer. */
static void assert_body(const struct wire_answer *answer, const char *want)
{
    size_t len = strlen(want);
    assert_int_equal(answer->body_len, len + 5);
    const uint8_t prefix[] = {0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len};
    assert_memory_equal(answer->body, prefix, 5);
    assert_memory_equal(answer->body + 5, want, len);
}

static void assert_ok_answer(const struct rig *rig, int32_t stream, const char *want)
{
    const struct wire_answer *answer = rig_answer(rig, stream);
    assert_string_equal(answer->http_status, "200");
    assert_string_equal(answer->content_type, "application/grpc");
    assert_string_equal(answer->grpc_status, "0");
    assert_string_equal(answer->encoding, "");
    assert_int_equal(answer->header_frames, 2);
    assert_true(answer->ended && !answer->ended_on_data && !answer->reset);
    assert_body(answer, want);
}

/* Trailers-only: one HEADERS frame with END_STREAM. */
static void assert_error_answer(const struct rig *rig, int32_t stream, const char *status)
{
    const struct wire_answer *answer = rig_answer(rig, stream);
    assert_string_equal(answer->http_status, "200");
    assert_string_equal(answer->content_type, "application/grpc");
    assert_string_equal(answer->grpc_status, status);
    assert_int_equal(answer->header_frames, 1);
    assert_int_equal(answer->data_frames, 0);
    assert_true(answer->ended);
    assert_memory_equal(answer->message, "p11-kms: ", 9);
}

static void test_new_says_settings_before_the_peer_says_anything(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new_silent(H2_SERVE);
    assert_true(rig->peer->settings_first);
    assert_int_equal(rig->peer->settings, 1);
    assert_int_equal(rig->peer->max_streams, 256);
}

static void test_feed_settings_are_acknowledged_at_any_time(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    assert_int_equal(rig->peer->settings_acks, 1);
    wire_settings(&rig->to_send, 4, 1u << 20);
    rig_run(rig);
    assert_int_equal(rig->peer->settings_acks, 2);
    assert_still_serves(rig, 1);
}

static void test_feed_call_is_answered_with_headers_data_trailers(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    wire_call(&rig->to_send, 1, PATH_ENCRYPT, BYTES("hello"));
    rig_run(rig);
    assert_ok_answer(rig, 1, "hello");
    assert_int_equal(rig->service.last.method, CODEC_V2_ENCRYPT);
    assert_int_equal(rig->service.last.ticket.conn, RIG_CONN);
    assert_int_equal(rig->service.last.ticket.generation, RIG_GENERATION);
    assert_int_equal(rig->service.last.ticket.stream, 1);
    assert_true(rig->service.last.deadline_ms == INT64_MAX);
    wire_call(&rig->to_send, 3, PATH_V1_ENCRYPT, BYTES("v1"));
    wire_call(&rig->to_send, 5, PATH_STATUS, BYTES(""));
    rig_run(rig);
    assert_ok_answer(rig, 3, "v1");
    assert_ok_answer(rig, 5, "");
}

static void test_feed_every_authority_is_served_and_classified(void **state)
{
    (void)state;
    static const struct {
        const char *authority;
        enum service_authority class;
    } cases[] = {
        {"localhost", SERVICE_AUTHORITY_OTHER},  {"%2Frun%2Fk.sock", SERVICE_AUTHORITY_OTHER},
        {"/run/k.sock", SERVICE_AUTHORITY_PATH}, {"@k", SERVICE_AUTHORITY_ABSTRACT},
        {"", SERVICE_AUTHORITY_OTHER},           {NULL, SERVICE_AUTHORITY_OTHER},
    };
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    for (int i = 0; i < 6; i++) {
        struct wire_request request = wire_request_to(PATH_ENCRYPT);
        wire_request_set(&request, ":authority", cases[i].authority);
        wire_headers(&rig->to_send, 2 * i + 1, WIRE_END_HEADERS, &request);
        wire_message(&rig->to_send, 2 * i + 1, WIRE_END_STREAM, BYTES("x"));
        rig_run(rig);
        assert_ok_answer(rig, 2 * i + 1, "x");
        assert_int_equal(rig->service.last.authority, cases[i].class);
    }
}

static void test_feed_headers_of_others_are_ignored(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_request_set(&request, "te", NULL);
    wire_request_set(&request, "user-agent", NULL);
    wire_request_set(&request, "hasleader", "true");
    wire_request_set(&request, "x-anything-bin", "AAEC");
    wire_request_set(&request, "content-type", "application/grpc+proto");
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS, &request);
    wire_message(&rig->to_send, 1, WIRE_END_STREAM, BYTES("x"));
    rig_run(rig);
    assert_ok_answer(rig, 1, "x");
}

static void test_feed_pings_are_acknowledged_and_never_too_many(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    for (int i = 0; i < 1000; i++) {
        wire_ping(&rig->to_send, "\x02\x04\x10\x10\x09\x0e\x07\x07");
        wire_window(&rig->to_send, 0, 100);
        wire_call(&rig->to_send, 2 * i + 1, PATH_ENCRYPT, BYTES("x"));
        rig_run(rig);
        assert_ok_answer(rig, 2 * i + 1, "x");
    }
    assert_int_equal(rig->peer->ping_acks, 1000);
    assert_memory_equal(rig->peer->ping, "\x02\x04\x10\x10\x09\x0e\x07\x07", 8);
    assert_int_equal(rig->peer->goaways, 0);
}

static void test_feed_body_in_data_frames_of_one_byte(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS, &request);
    const uint8_t body[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    for (size_t i = 0; i < sizeof(body); i++) {
        wire_frame(&rig->to_send, WIRE_DATA, 0, 1, span_of(body + i, 1));
    }
    wire_frame(&rig->to_send, WIRE_DATA, WIRE_END_STREAM, 1, BYTES(""));
    rig_run_in_steps(rig, 1);
    assert_ok_answer(rig, 1, "abc");
}

static void test_feed_padded_data_and_continuations(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    static struct wire block;
    block.len = 0;
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_block(&block, &request);
    struct span whole = wire_bytes(&block);
    wire_frame(&rig->to_send, WIRE_HEADERS, 0, 1, span_part(whole, 0, 11));
    wire_frame(&rig->to_send, WIRE_CONTINUATION, 0, 1, span_part(whole, 11, 1));
    wire_frame(&rig->to_send, WIRE_CONTINUATION, WIRE_END_HEADERS, 1,
               span_part(whole, 12, whole.len - 12));
    wire_frame(&rig->to_send, WIRE_DATA, WIRE_PADDED | WIRE_END_STREAM, 1,
               BYTES("\x03\0\0\0\0\x01z\0\0\0"));
    rig_run(rig);
    assert_ok_answer(rig, 1, "z");
}

static void test_feed_request_ended_by_trailers(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    struct wire_request trailers = {.fields = {{"x-checksum", "1"}}};
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS, &request);
    wire_message(&rig->to_send, 1, 0, BYTES("t"));
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS | WIRE_END_STREAM, &trailers);
    rig_run(rig);
    assert_ok_answer(rig, 1, "t");
}

static void test_feed_unknown_paths_are_unimplemented(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    const char *paths[] = {
        "/v2.KeyManagementService/Nope",   "/v2alpha1.KeyManagementService/Status",
        "/grpc.health.v1.Health/Check",    "/",
        "/V2.keymanagementservice/status", ""};
    for (int i = 0; i < 6; i++) {
        wire_call(&rig->to_send, 2 * i + 1, paths[i], BYTES(""));
        rig_run(rig);
        assert_error_answer(rig, 2 * i + 1, "12");
    }
    assert_int_equal(rig->service.calls, 0);
    assert_still_serves(rig, 101);
}

static void test_feed_other_methods_and_types_get_http_codes(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_request_set(&request, ":method", "GET");
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS | WIRE_END_STREAM, &request);
    const char *types[] = {"application/json", "application/grpc-web", "application/grp", NULL};
    for (int i = 0; i < 4; i++) {
        request = wire_request_to(PATH_ENCRYPT);
        wire_request_set(&request, "content-type", types[i]);
        wire_headers(&rig->to_send, 2 * i + 3, WIRE_END_HEADERS, &request);
        wire_message(&rig->to_send, 2 * i + 3, WIRE_END_STREAM, BYTES("x"));
    }
    rig_run(rig);
    assert_string_equal(rig_answer(rig, 1)->http_status, "405");
    for (int i = 0; i < 4; i++) {
        assert_string_equal(rig_answer(rig, 2 * i + 3)->http_status, "415");
        assert_true(rig_answer(rig, 2 * i + 3)->ended);
    }
    assert_still_serves(rig, 101);
}

static void test_feed_answer_before_the_body_ends_asks_for_no_more(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to("/nope");
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS, &request);
    rig_run(rig);
    assert_error_answer(rig, 1, "12");
    assert_true(rig_answer(rig, 1)->reset);
    assert_int_equal(rig_answer(rig, 1)->reset_code, 0);
    assert_int_equal(h2_shared_calls(rig->shared), 0);
    struct wire_request trailers = {.fields = {{"x-late", "1"}}};
    wire_message(&rig->to_send, 1, 0, BYTES("late"));
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS | WIRE_END_STREAM, &trailers);
    wire_window(&rig->to_send, 1, 100);
    wire_reset(&rig->to_send, 1, 0);
    rig_run(rig);
    assert_still_serves(rig, 3);
}

static void test_feed_error_of_the_service_is_trailers_only_and_encoded(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    rig->service.mode = FAKE_ERROR;
    rig->service.err = FAIL(E_STATE, "no");
    rig->service.text = "100% bad\n\xc3\xa9";
    wire_call(&rig->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    rig_run(rig);
    assert_error_answer(rig, 1, "9");
    assert_string_equal(rig_answer(rig, 1)->message, "p11-kms: 100%25 bad%0A%C3%A9");
    assert_still_serves(rig, 3);
}

static void test_feed_not_http2_ends_the_session(void **state)
{
    (void)state;
    const struct span others[] = {BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
                                  BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
                                  BYTES("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")};
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(rig_free_p) struct rig *rig = rig_new_silent(H2_SERVE);
        wire_raw(&rig->to_send, others[i]);
        rig_run(rig);
        assert_int_equal(rig->fed.code, E_PROTOCOL);
        assert_true(h2_session_done(rig->session));
    }
}

static void test_feed_protocol_error_of_the_connection_says_goaway(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    wire_frame(&rig->to_send, WIRE_DATA, 0, 0, BYTES("x")); /* DATA on stream 0 */
    rig_run(rig);
    assert_int_equal(rig->peer->goaways, 1);
    assert_int_equal(rig->peer->goaway_code, 1);
    assert_true(h2_session_done(rig->session));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_says_settings_before_the_peer_says_anything),
        cmocka_unit_test(test_feed_settings_are_acknowledged_at_any_time),
        cmocka_unit_test(test_feed_call_is_answered_with_headers_data_trailers),
        cmocka_unit_test(test_feed_every_authority_is_served_and_classified),
        cmocka_unit_test(test_feed_headers_of_others_are_ignored),
        cmocka_unit_test(test_feed_pings_are_acknowledged_and_never_too_many),
        cmocka_unit_test(test_feed_body_in_data_frames_of_one_byte),
        cmocka_unit_test(test_feed_padded_data_and_continuations),
        cmocka_unit_test(test_feed_request_ended_by_trailers),
        cmocka_unit_test(test_feed_unknown_paths_are_unimplemented),
        cmocka_unit_test(test_feed_other_methods_and_types_get_http_codes),
        cmocka_unit_test(test_feed_answer_before_the_body_ends_asks_for_no_more),
        cmocka_unit_test(test_feed_error_of_the_service_is_trailers_only_and_encoded),
        cmocka_unit_test(test_feed_not_http2_ends_the_session),
        cmocka_unit_test(test_feed_protocol_error_of_the_connection_says_goaway),
    };
    return cmocka_run_group_tests_name("http2/session", tests, setup, teardown);
}
