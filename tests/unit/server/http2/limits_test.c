/* What a session bounds, at each limit and one past it, and what it refuses as malformed. */
#include "server/http2/session.h"

#include <string.h>

#include "server/http2/stream.h"
#include "tests/kit/rig_unit.h"

#define PROTOCOL_ERROR 1u

/* A request whose header list has this size. */
static void send_list_of(struct rig *rig, int32_t stream, size_t size)
{
    static char value[128 * 1024];
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    size_t have = 32 + strlen("x-fill");
    for (size_t i = 0; request.fields[i].name != NULL; i++) {
        have += strlen(request.fields[i].name) + strlen(request.fields[i].value) + 32;
    }
    memset(value, 'v', size - have);
    value[size - have] = '\0';
    wire_request_set(&request, "x-fill", value);
    static struct wire block;
    block.len = 0;
    wire_block(&block, &request);
    struct span rest = wire_bytes(&block);
    for (enum wire_type type = WIRE_HEADERS; rest.len > 0; type = WIRE_CONTINUATION) {
        size_t n = rest.len < 16384 ? rest.len : 16384;
        wire_frame(&rig->to_send, type, n == rest.len ? WIRE_END_HEADERS : 0, stream,
                   span_part(rest, 0, n));
        rest = span_part(rest, n, rest.len - n);
    }
    wire_message(&rig->to_send, stream, WIRE_END_STREAM, BYTES("x"));
    rig_run(rig);
}

static void test_headers_up_to_8_kib_are_served_and_up_to_64_answered(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    send_list_of(rig, 1, H2_HEADERS_ANSWER);
    assert_status(rig, 1, "0");
    send_list_of(rig, 3, H2_HEADERS_ANSWER + 1);
    assert_status(rig, 3, "8");
    send_list_of(rig, 5, H2_HEADERS_CLOSE);
    assert_status(rig, 5, "8");
    assert_still_serves(rig, 7);
    send_list_of(rig, 9, H2_HEADERS_CLOSE + 1);
    assert_int_equal(rig->peer->goaways, 1);
    assert_int_equal(rig->peer->goaway_code, 11);
    assert_true(h2_session_done(rig->session));
}

static void test_continuations_above_eight_end_the_session(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    wire_frame(&rig->to_send, WIRE_HEADERS, 0, 1, BYTES(""));
    for (int i = 0; i < 9; i++) {
        wire_frame(&rig->to_send, WIRE_CONTINUATION, 0, 1, BYTES(""));
    }
    rig_run(rig);
    assert_true(h2_session_done(rig->session));
    assert_int_equal(rig->service.calls, 0);
}

static void test_table_references_that_swell_end_the_session_early(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    static uint8_t block[16000];
    struct writer w = writer_of(span_mut_of(block, sizeof(block)));
    writer_bytes(&w, BYTES("\x40\x01x\x7f\x81\x1e")); /* x: 4000 bytes, indexed */
    memset(writer_room(&w, 4000).ptr, 'v', 4000);
    while (w.len < sizeof(block)) {
        writer_u8(&w, 0xbe); /* the first entry of the dynamic table */
    }
    wire_frame(&rig->to_send, WIRE_HEADERS, WIRE_END_HEADERS, 1, writer_done(&w));
    rig_run(rig);
    assert_int_equal(rig->fed.code, E_PROTOCOL);
    assert_int_equal(rig->peer->goaway_code, 11);
}

static void assert_malformed(const struct wire_request *request, unsigned flags)
{
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS | flags, request);
    if (flags == 0) {
        wire_message(&rig->to_send, 1, WIRE_END_STREAM, BYTES("x"));
    }
    rig_run(rig);
    assert_true(rig_answer(rig, 1)->reset);
    assert_int_equal(rig_answer(rig, 1)->reset_code, PROTOCOL_ERROR);
    assert_int_equal(rig_answer(rig, 1)->header_frames, 0);
    assert_int_equal(rig->service.calls, 0);
    assert_int_equal(h2_shared_calls(rig->shared), 0);
    assert_still_serves(rig, 3);
}

static void test_malformed_requests_are_reset_and_others_served(void **state)
{
    (void)state;
    static const struct wire_field bad[] = {
        {":method", NULL},
        {":scheme", NULL},
        {":path", NULL},
        {":unknown", "x"},
        {"Content-Type", "x"},
        {"x y", "1"},
        {"connection", "close"},
        {"keep-alive", "1"},
        {"proxy-connection", "x"},
        {"upgrade", "h2c"},
        {"transfer-encoding", "x"},
        {"te", "gzip"},
        {"x-line", "a\nb"},
        {"content-length", "5"},
        {"content-length", "7"},
        {"content-length", ""},
        {"content-length", "6x"},
        {"content-length", "99999999999999999999"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wire_request request = wire_request_to(PATH_ENCRYPT);
        wire_request_set(&request, bad[i].name, bad[i].value);
        assert_malformed(&request, 0);
    }
}

static void test_doubled_and_late_pseudo_headers_are_malformed(void **state)
{
    (void)state;
    struct wire_request doubled = {.fields = {{":method", "POST"},
                                              {":method", "POST"},
                                              {":scheme", "http"},
                                              {":path", PATH_ENCRYPT},
                                              {"content-type", "application/grpc"}}};
    assert_malformed(&doubled, 0);
    struct wire_request late = {.fields = {{":method", "POST"},
                                           {":scheme", "http"},
                                           {"content-type", "application/grpc"},
                                           {":path", PATH_ENCRYPT}}};
    assert_malformed(&late, 0);
}

static void test_content_length_that_is_true_is_served(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_request_set(&request, "content-length", "6");
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS, &request);
    wire_message(&rig->to_send, 1, WIRE_END_STREAM, BYTES("x"));
    rig_run(rig);
    assert_status(rig, 1, "0");
}

static void test_bad_trailers_are_malformed(void **state)
{
    (void)state;
    static const struct wire_request kinds[] = {{.fields = {{":path", "/"}}},
                                                {.fields = {{"X-Upper", "1"}}},
                                                {.fields = {{"x-fine", "1"}}}};
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    for (int i = 0; i < 3; i++) {
        struct wire_request request = wire_request_to(PATH_ENCRYPT);
        wire_headers(&rig->to_send, 2 * i + 1, WIRE_END_HEADERS, &request);
        wire_message(&rig->to_send, 2 * i + 1, 0, BYTES("x"));
        unsigned end =
            i == 2 ? 0 : WIRE_END_STREAM; /* the last one is wrong in not ending the stream */
        wire_headers(&rig->to_send, 2 * i + 1, WIRE_END_HEADERS | end, &kinds[i]);
        rig_run(rig);
        assert_true(rig_answer(rig, 2 * i + 1)->reset);
        assert_int_equal(rig_answer(rig, 2 * i + 1)->reset_code, PROTOCOL_ERROR);
    }
    assert_int_equal(rig->service.calls, 0);
    assert_still_serves(rig, 101);
}

static void test_calls_above_512_of_all_sessions_are_refused(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct h2_session *others[2] = {NULL, NULL};
    static struct wire calls;
    static uint8_t sink[65536];
    for (int i = 0; i < 2; i++) {
        struct ticket ticket = {.conn = 20u + (uint32_t)i, .generation = 1};
        assert_ok(h2_session_new(rig->shared, H2_SERVE, ticket, rig->now_ms, &others[i]));
        calls.len = 0;
        wire_open(&calls);
        wire_settings_ack(&calls);
        struct wire_request request = wire_request_to(PATH_ENCRYPT);
        for (int32_t n = 0; n < 256 - i; n++) {
            wire_headers(&calls, 2 * n + 1, WIRE_END_HEADERS, &request);
        }
        assert_true(h2_session_pull(others[i], span_mut_of(sink, sizeof(sink))) > 0);
        assert_ok(h2_session_feed(others[i], wire_bytes(&calls), rig->now_ms));
    }
    assert_int_equal(h2_shared_calls(rig->shared), H2_CALLS_MAX - 1);
    assert_still_serves(rig, 1);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_headers(&rig->to_send, 3, WIRE_END_HEADERS, &request);
    wire_headers(&rig->to_send, 5, WIRE_END_HEADERS, &request);
    wire_message(&rig->to_send, 5, WIRE_END_STREAM, BYTES("x"));
    rig_run(rig);
    assert_int_equal(h2_shared_calls(rig->shared), H2_CALLS_MAX);
    assert_status(rig, 5, "8");
    wire_message(&rig->to_send, 3, WIRE_END_STREAM, BYTES("x"));
    rig_run(rig);
    assert_status(rig, 3, "0");
    h2_session_free(others[0]);
    h2_session_free(others[1]);
    assert_still_serves(rig, 7);
}

static void test_streams_above_256_do_not_reach_the_service(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    rig->service.mode = FAKE_PEND;
    for (int32_t n = 0; n < 256; n++) {
        wire_call(&rig->to_send, 2 * n + 1, PATH_ENCRYPT, BYTES("x"));
    }
    rig_run(rig);
    assert_int_equal(rig->service.pending_n, 256);
    assert_int_equal(rig->peer->goaways, 0);
    wire_call(&rig->to_send, 513, PATH_ENCRYPT, BYTES("x"));
    rig_run(rig);
    assert_int_equal(rig->service.calls, 256);
}

static void test_deny_first_call_is_refused_and_the_session_ends(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_DENY);
    assert_false(h2_session_done(rig->session));
    wire_call(&rig->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    wire_call(&rig->to_send, 3, PATH_ENCRYPT, BYTES("x"));
    rig_run(rig);
    assert_status(rig, 1, "7");
    assert_int_equal(rig->service.calls, 0);
    assert_true(h2_session_done(rig->session));
}

/* What the served have is not for those who are not. */
static void test_deny_takes_one_call_of_the_pool_and_no_memory(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_DENY);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    size_t before = secret_in_use(SECRET_SLOT);
    for (int32_t stream = 1; stream < 400; stream += 2) {
        wire_headers(&rig->to_send, stream, WIRE_END_HEADERS, &request);
        wire_message(&rig->to_send, stream, 0, BYTES("x"));
    }
    rig_run(rig);
    assert_int_equal(h2_shared_calls(rig->shared), 1);
    assert_int_equal(secret_in_use(SECRET_SLOT), before);
    wire_frame(&rig->to_send, WIRE_DATA, WIRE_END_STREAM, 1, BYTES(""));
    rig_run(rig);
    assert_status(rig, 1, "7");
    assert_int_equal(rig->service.calls, 0);
}

static void test_deny_session_without_a_call_ends_after_five_seconds(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_DENY);
    rig_pass(rig, 4999);
    assert_false(h2_session_done(rig->session));
    rig_pass(rig, 1);
    assert_true(h2_session_done(rig->session));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_up_to_8_kib_are_served_and_up_to_64_answered),
        cmocka_unit_test(test_continuations_above_eight_end_the_session),
        cmocka_unit_test(test_table_references_that_swell_end_the_session_early),
        cmocka_unit_test(test_malformed_requests_are_reset_and_others_served),
        cmocka_unit_test(test_doubled_and_late_pseudo_headers_are_malformed),
        cmocka_unit_test(test_content_length_that_is_true_is_served),
        cmocka_unit_test(test_bad_trailers_are_malformed),
        cmocka_unit_test(test_calls_above_512_of_all_sessions_are_refused),
        cmocka_unit_test(test_streams_above_256_do_not_reach_the_service),
        cmocka_unit_test(test_deny_first_call_is_refused_and_the_session_ends),
        cmocka_unit_test(test_deny_takes_one_call_of_the_pool_and_no_memory),
        cmocka_unit_test(test_deny_session_without_a_call_ends_after_five_seconds),
    };
    return cmocka_run_group_tests_name("http2/limits", tests, setup, teardown);
}
