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

/* A session beside the rig's, whose peer has said the headers of n calls and nothing more. */
static struct h2_session *greedy_new(const struct rig *rig, uint32_t conn, int n, const char *path)
{
    static struct wire calls;
    static uint8_t sink[65536];
    struct h2_session *session = NULL;
    struct wire_request request = wire_request_to(path);
    const struct ticket ticket = {.conn = conn, .generation = 1};
    assert_ok(h2_session_new(rig->shared, H2_SERVE, ticket, rig->now_ms, &session));
    calls.len = 0;
    wire_open(&calls);
    wire_settings_ack(&calls);
    for (int32_t i = 0; i < n; i++) {
        wire_headers(&calls, 2 * i + 1, WIRE_END_HEADERS, &request);
    }
    assert_true(h2_session_pull(session, span_mut_of(sink, sizeof(sink))) > 0);
    assert_ok(h2_session_feed(session, wire_bytes(&calls), rig->now_ms));
    while (h2_session_pull(session, span_mut_of(sink, sizeof(sink))) > 0) {
    }
    return session;
}

static void free_all(struct h2_session **sessions, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        h2_session_free(sessions[i]);
    }
}

static void test_calls_of_one_session_alone_may_fill_all_its_streams(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct h2_session *alone = greedy_new(rig, 20, 256, PATH_ENCRYPT);
    assert_int_equal(h2_shared_calls(rig->shared), 256);
    assert_int_equal(rig->service.bites[LIMIT_CALLS], 0);
    h2_session_free(alone);
}

/* How many calls a peer that comes last may have open at a time. */
static int32_t open_as_last(struct rig *rig)
{
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    unsigned before = rig->service.bites[LIMIT_CALLS];
    int32_t n = 0;
    while (n < 300 && rig->service.bites[LIMIT_CALLS] == before) {
        wire_headers(&rig->to_send, 2 * n++ + 1, WIRE_END_HEADERS, &request);
        rig_run(rig);
    }
    assert_status(rig, 2 * n - 1, "8");
    for (int32_t i = 0; i < n; i++) {
        wire_reset(&rig->to_send, 2 * i + 1, 8);
    }
    rig_run(rig);
    return n - 1;
}

/* Each takes what it gets, one after the other, and keeps it: the next one still finds some. */
static void assert_last_of(size_t greedy_n, int32_t at_least)
{
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct h2_session *greedy[127];
    for (size_t i = 0; i < greedy_n; i++) {
        greedy[i] = greedy_new(rig, 20u + (uint32_t)i, 256, PATH_ENCRYPT);
    }
    assert_in_range(h2_shared_calls(rig->shared), H2_CALLS_MAX / 2, H2_CALLS_MAX);
    assert_in_range(open_as_last(rig), at_least, 256);
    assert_still_serves(rig, 1001);
    wire_call(&rig->to_send, 1003, PATH_STATUS, BYTES(""));
    rig_run(rig);
    assert_status(rig, 1003, "0");
    free_all(greedy, greedy_n);
}

static void test_calls_of_greedy_sessions_leave_room_for_the_next(void **state)
{
    (void)state;
    assert_last_of(1, 40);
    assert_last_of(4, 12);
    assert_last_of(16, 1);
    assert_last_of(127, 1);
}

/* A session that has used up its share is still told how we are. */
static void test_status_has_a_call_that_nobody_else_gets(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct h2_session *other = greedy_new(rig, 20, 256, PATH_ENCRYPT);
    struct h2_session *of_status = greedy_new(rig, 21, 256, PATH_STATUS);
    struct wire_request encrypt = wire_request_to(PATH_ENCRYPT);
    struct wire_request status = wire_request_to(PATH_STATUS);
    for (int32_t i = 0; i < 200; i++) {
        wire_headers(&rig->to_send, 2 * i + 1, WIRE_END_HEADERS, &encrypt);
    }
    rig_run(rig);
    assert_status(rig, 399, "8");
    for (int32_t stream = 401; stream < 420; stream += 2) {
        wire_call(&rig->to_send, stream, PATH_STATUS, BYTES(""));
        rig_run(rig);
        assert_status(rig, stream, "0");
    }
    wire_headers(&rig->to_send, 421, WIRE_END_HEADERS, &status);
    wire_call(&rig->to_send, 423, PATH_STATUS, BYTES(""));
    rig_run(rig);
    assert_status(rig, 423, "8"); /* one at a time */
    wire_message(&rig->to_send, 421, WIRE_END_STREAM, BYTES(""));
    rig_run(rig);
    assert_status(rig, 421, "0");
    h2_session_free(other);
    h2_session_free(of_status);
    for (int32_t i = 0; i < 200; i++) {
        wire_reset(&rig->to_send, 2 * i + 1, 8);
    }
    rig_run(rig);
}

/* The calls of all are 512, whoever has them; a Status above them too has its own. */
static void test_calls_of_all_sessions_are_bounded(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct h2_session *greedy[300];
    for (size_t i = 0; i < 300; i++) {
        greedy[i] = greedy_new(rig, 20u + (uint32_t)i, 256, PATH_ENCRYPT);
    }
    assert_int_equal(h2_shared_calls(rig->shared), H2_CALLS_MAX);
    wire_call(&rig->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    wire_call(&rig->to_send, 3, PATH_STATUS, BYTES(""));
    rig_run(rig);
    assert_status(rig, 1, "8");
    assert_status(rig, 3, "0");
    free_all(greedy, 300);
    assert_still_serves(rig, 5);
    for (size_t i = 0; i < 300; i++) {
        greedy[i] = greedy_new(rig, 20u + (uint32_t)i, 256, PATH_STATUS);
    }
    assert_int_equal(h2_shared_calls(rig->shared), H2_CALLS_MAX + H2_KEPT_MAX);
    free_all(greedy, 300);
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
    size_t before = secret_in_use(SECRET_2KIB);
    for (int32_t stream = 1; stream < 400; stream += 2) {
        wire_headers(&rig->to_send, stream, WIRE_END_HEADERS, &request);
        wire_message(&rig->to_send, stream, 0, BYTES("x"));
    }
    rig_run(rig);
    assert_int_equal(h2_shared_calls(rig->shared), 1);
    assert_int_equal(secret_in_use(SECRET_2KIB), before);
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
        cmocka_unit_test(test_calls_of_one_session_alone_may_fill_all_its_streams),
        cmocka_unit_test(test_calls_of_greedy_sessions_leave_room_for_the_next),
        cmocka_unit_test(test_status_has_a_call_that_nobody_else_gets),
        cmocka_unit_test(test_calls_of_all_sessions_are_bounded),
        cmocka_unit_test(test_streams_above_256_do_not_reach_the_service),
        cmocka_unit_test(test_deny_first_call_is_refused_and_the_session_ends),
        cmocka_unit_test(test_deny_takes_one_call_of_the_pool_and_no_memory),
        cmocka_unit_test(test_deny_session_without_a_call_ends_after_five_seconds),
    };
    return cmocka_run_group_tests_name("http2/limits", tests, setup, teardown);
}
