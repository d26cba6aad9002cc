/* The one message of a call: its framing, its size, its compression. */
#include "server/http2/session.h"

#include "tests/kit/rig_unit.h"

static void send_body(struct rig *rig, int32_t stream, struct span body)
{
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_headers(&rig->to_send, stream, WIRE_END_HEADERS, &request);
    wire_frame(&rig->to_send, WIRE_DATA, WIRE_END_STREAM, stream, body);
    rig_run(rig);
}

static void test_framing_of_the_message_is_checked(void **state)
{
    (void)state;
    const struct {
        struct span body;
        const char *status;
    } cases[] = {
        {BYTES(""), "12"},         /* no message */
        {BYTES("\0\0\0\0"), "13"}, /* a prefix cut short */
        {BYTES("\0\0\0\0\x02"
               "a"),
         "13"}, /* a message cut short */
        {BYTES("\0\0\0\0\x01"
               "ab"),
         "13"}, /* a byte behind it */
        {BYTES("\0\0\0\0\x01"
               "a\0\0\0\0\x01"
               "b"),
         "12"}, /* two messages */
        {BYTES("\x01\0\0\0\x01"
               "a"),
         "13"}, /* compressed, without grpc-encoding */
        {BYTES("\x02\0\0\0\x01"
               "a"),
         "13"}, /* undefined flag */
        {BYTES("\0\xff\xff\xff\xff"
               "a"),
         "8"}, /* 4 GiB to come */
        {BYTES("\0\0\x02\0\x01"
               "a"),
         "8"}, /* one above 128 KiB */
    };
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    for (int i = 0; i < 9; i++) {
        send_body(rig, 2 * i + 1, cases[i].body);
        assert_status(rig, 2 * i + 1, cases[i].status);
    }
    assert_int_equal(rig->service.calls, 0);
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
    assert_still_serves(rig, 101);
}

static void test_compression_is_unimplemented_and_says_what_is_not(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_request_set(&request, "grpc-encoding", "gzip");
    wire_headers(&rig->to_send, 1, WIRE_END_HEADERS, &request);
    wire_frame(&rig->to_send, WIRE_DATA, WIRE_END_STREAM, 1,
               BYTES("\x01\0\0\0\x01"
                     "a"));
    wire_request_set(&request, "grpc-encoding", "identity");
    wire_headers(&rig->to_send, 3, WIRE_END_HEADERS, &request);
    wire_message(&rig->to_send, 3, WIRE_END_STREAM, BYTES("a"));
    rig_run(rig);
    assert_status(rig, 1, "12");
    assert_string_equal(rig_answer(rig, 1)->accept_encoding, "identity");
    assert_status(rig, 3, "0");
}

/* A message of `len` bytes in DATA frames of 16384. */
static void send_large(struct rig *rig, int32_t stream, size_t len)
{
    static uint8_t body[GRPC_MESSAGE_MAX + 6];
    struct writer w = writer_of(span_mut_of(body, sizeof(body)));
    writer_u8(&w, 0);
    writer_u32(&w, (uint32_t)len);
    struct wire_request request = wire_request_to(PATH_DECRYPT);
    wire_headers(&rig->to_send, stream, WIRE_END_HEADERS, &request);
    size_t total = len + 5;
    for (size_t at = 0; at < total; at += 16384) {
        size_t n = total - at < 16384 ? total - at : 16384;
        wire_frame(&rig->to_send, WIRE_DATA, at + n == total ? WIRE_END_STREAM : 0, stream,
                   span_of(body + at, n));
        rig_run(rig); /* the window is opened again as it is used */
    }
}

static void test_messages_up_to_128_kib_reach_the_service(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    const size_t lens[] = {2048, 2049, 65535, GRPC_MESSAGE_MAX};
    for (int i = 0; i < 4; i++) {
        send_large(rig, 2 * i + 1, lens[i]);
        assert_int_equal(rig->service.last_len, lens[i]);
        wire_window(&rig->to_send, 0, 131072 + 5);
        wire_window(&rig->to_send, 2 * i + 1, 131072 + 5);
        rig_run(rig);
        assert_status(rig, 2 * i + 1, "0");
        assert_int_equal(rig_answer(rig, 2 * i + 1)->body_len, lens[i] + 5);
    }
}

static void test_large_bodies_above_eight_are_refused_and_small_ones_served(void **state)
{
    (void)state;
    CLEANUP(rig_free_p) struct rig *rig = rig_new(H2_SERVE);
    for (int i = 0; i < 9; i++) {
        struct wire_request request = wire_request_to(PATH_DECRYPT);
        wire_headers(&rig->to_send, 2 * i + 1, WIRE_END_HEADERS, &request);
        wire_frame(&rig->to_send, WIRE_DATA, 0, 2 * i + 1,
                   BYTES("\0\0\0\xff\xff"
                         "x"));
    }
    rig_run(rig);
    assert_int_equal(secret_in_use(SECRET_128KIB), 8);
    assert_status(rig, 17, "8");
    assert_still_serves(rig, 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing_of_the_message_is_checked),
        cmocka_unit_test(test_compression_is_unimplemented_and_says_what_is_not),
        cmocka_unit_test(test_messages_up_to_128_kib_reach_the_service),
        cmocka_unit_test(test_large_bodies_above_eight_are_refused_and_small_ones_served),
    };
    return cmocka_run_group_tests_name("http2/message", tests, setup, teardown);
}
