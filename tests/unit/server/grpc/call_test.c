#include "server/grpc/call.h"

#include <string.h>

#include "tests/kit/fake_service.h"
#include "tests/kit/unit.h"

#define BYTES(literal_) span_of((literal_), sizeof(literal_) - 1)
#define NOW_MS          5000

static const struct ticket ticket = {.conn = 1, .generation = 2, .stream = 3};
static struct service service;
static struct grpc_call call;

static int setup(void **state)
{
    (void)state;
    memset(&service, 0, sizeof(service));
    memset(&call, 0xa5, sizeof(call)); /* init must not lean on what was there */
    assert_ok(secret_init(&secret_budget_front));
    grpc_call_init(&call, &service, ticket);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    grpc_call_done(&call);
    bool clean = secret_in_use(SECRET_2KIB) == 0 && secret_in_use(SECRET_128KIB) == 0 &&
                 secret_free_space_is_zero() && service.pending_n == 0;
    secret_done();
    return clean ? 0 : -1;
}

static void header(const char *name, const char *value)
{
    grpc_call_header(&call, span_of_text(name), span_of_text(value));
}

static void headers(void)
{
    header(":method", "POST");
    header(":path", "/v2.KeyManagementService/Encrypt");
    header("content-type", "application/grpc");
    grpc_call_headers_end(&call, NOW_MS);
}

static void assert_head(const char *name, const char *value)
{
    struct grpc_header got[GRPC_HEADERS_MAX];
    size_t n = grpc_call_head(&call, got);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(got[i].name, name) == 0) {
            assert_true(span_equal(got[i].value, span_of_text(value)));
            return;
        }
    }
    fail_msg("no header %s", name);
}

static void test_call_is_handled_once_the_message_is_whole(void **state)
{
    (void)state;
    headers();
    assert_int_equal(call.state, GRPC_BODY);
    grpc_call_data(&call, BYTES("\0\0\0\0\x02h"));
    grpc_call_data(&call, BYTES("i"));
    assert_int_equal(service.calls, 0);
    grpc_call_end(&call);
    assert_int_equal(call.state, GRPC_ANSWERED);
    assert_int_equal(service.last_len, 2);
    assert_int_equal(secret_in_use(SECRET_2KIB), 1); /* the request is gone, the answer is held */
    assert_false(grpc_call_is_short(&call));
    assert_head(":status", "200");
    struct grpc_header trailers[GRPC_HEADERS_MAX];
    assert_int_equal(grpc_call_trailers(&call, trailers), 1);
    assert_true(span_equal(trailers[0].value, span_of_text("0")));
}

static void test_write_gives_the_framed_answer_in_pieces_of_any_size(void **state)
{
    (void)state;
    headers();
    grpc_call_data(&call, BYTES("\0\0\0\0\x05hello"));
    grpc_call_end(&call);
    uint8_t buf[16];
    for (size_t step = 1; step <= 10; step++) {
        struct writer w = writer_of(span_mut_of(buf, sizeof(buf)));
        call.sent = 0;
        while (grpc_call_left(&call) > 0) {
            size_t left = grpc_call_left(&call);
            grpc_call_write(&call, left < step ? left : step, &w);
        }
        assert_int_equal(w.len, 10);
        assert_memory_equal(buf, "\0\0\0\0\x05hello", 10);
    }
}

static void test_headers_end_first_wrong_header_decides(void **state)
{
    (void)state;
    header(":method", "POST");
    header(":path", "/nope");
    header("content-type", "application/grpc;x=y");
    header("grpc-encoding", "gzip");
    header("grpc-timeout", "x");
    grpc_call_headers_end(&call, NOW_MS);
    assert_int_equal(call.state, GRPC_ANSWERED);
    assert_int_equal(call.status, GRPC_UNIMPLEMENTED);
    assert_head("grpc-message", "p11-kms: unknown method");
    assert_head("grpc-accept-encoding", "identity");
    assert_true(grpc_call_is_short(&call));
    grpc_call_data(&call, BYTES("\0\0\0\0\x01x"));
    grpc_call_end(&call);
    assert_int_equal(service.calls, 0);
}

static void test_headers_end_not_grpc_is_an_http_answer_alone(void **state)
{
    (void)state;
    struct grpc_header got[GRPC_HEADERS_MAX];
    header(":method", "post");
    grpc_call_headers_end(&call, NOW_MS);
    assert_head(":status", "405");
    assert_int_equal(grpc_call_head(&call, got), 1);
    grpc_call_init(&call, &service, ticket);
    header(":method", "POST");
    header("content-type", "application/grpcx");
    grpc_call_headers_end(&call, NOW_MS);
    assert_head(":status", "415");
}

static void test_status_of_nothing_is_served_with_no_slot_free(void **state)
{
    (void)state;
    struct secret *slots[672];
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        assert_ok(secret_new(SECRET_2KIB, 1, &slots[i]));
    }
    headers();
    grpc_call_data(&call, BYTES("\0\0\0\0\0"));
    service.mode = FAKE_PEND;
    grpc_call_end(&call);
    assert_int_equal(call.state, GRPC_WAITING);
    grpc_call_done(&call);
    grpc_call_init(&call, &service, ticket);
    headers();
    grpc_call_data(&call, BYTES("\0\0\0\0\x01x"));
    assert_int_equal(call.status, GRPC_RESOURCE_EXHAUSTED);
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        secret_free(slots[i]);
    }
}

static void test_reply_to_a_call_that_does_not_wait_is_wiped(void **state)
{
    (void)state;
    headers();
    struct service_reply reply = fake_service_ok(8);
    grpc_call_reply(&call, &reply);
    assert_null(reply.body);
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
    assert_int_equal(call.state, GRPC_BODY);
}

static void test_reply_without_an_answer_is_a_bug_that_is_told(void **state)
{
    (void)state;
    service.mode = FAKE_PEND;
    headers();
    grpc_call_data(&call, BYTES("\0\0\0\0\x01x"));
    grpc_call_end(&call);
    service.pending_n = 0;
    struct service_reply reply = {.err = OK};
    grpc_call_reply(&call, &reply);
    assert_int_equal(call.status, GRPC_INTERNAL);
}

static void test_refuse_of_a_waiting_call_cancels_it_once(void **state)
{
    (void)state;
    service.mode = FAKE_PEND;
    headers();
    grpc_call_data(&call, BYTES("\0\0\0\0\x01x"));
    grpc_call_end(&call);
    grpc_call_refuse(&call, FAIL(E_DEADLINE, "late"));
    grpc_call_refuse(&call, FAIL(E_BUG, "again"));
    assert_int_equal(service.cancels, 1);
    assert_int_equal(call.status, GRPC_DEADLINE_EXCEEDED);
    assert_head("grpc-message", "p11-kms: late");
}

static void test_longest_text_keeps_the_trailers_small(void **state)
{
    (void)state;
    static char text[200];
    memset(text, '\n', sizeof(text) - 1);
    service.mode = FAKE_ERROR;
    service.err = FAIL(E_INVALID, "no");
    service.text = text;
    headers();
    grpc_call_data(&call, BYTES("\0\0\0\0\x01x"));
    grpc_call_end(&call);
    assert_int_equal(call.text_len, 9 + 3 * 199);
}

#define CALL_TEST(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALL_TEST(test_call_is_handled_once_the_message_is_whole),
        CALL_TEST(test_write_gives_the_framed_answer_in_pieces_of_any_size),
        CALL_TEST(test_headers_end_first_wrong_header_decides),
        CALL_TEST(test_headers_end_not_grpc_is_an_http_answer_alone),
        CALL_TEST(test_status_of_nothing_is_served_with_no_slot_free),
        CALL_TEST(test_reply_to_a_call_that_does_not_wait_is_wiped),
        CALL_TEST(test_reply_without_an_answer_is_a_bug_that_is_told),
        CALL_TEST(test_refuse_of_a_waiting_call_cancels_it_once),
        CALL_TEST(test_longest_text_keeps_the_trailers_small),
    };
    return cmocka_run_group_tests_name("grpc/call", tests, NULL, NULL);
}
