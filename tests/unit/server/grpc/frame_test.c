#include "server/grpc/frame.h"

#include <string.h>

#include "tests/kit/unit.h"

#define BYTES(literal_) span_of((literal_), sizeof(literal_) - 1)

struct outcome {
    err_t err;
    unsigned began;
    size_t len;
    uint8_t message[64];
};

/* Feeds `bytes` in pieces of `step`, then the end. */
static struct outcome run(struct span bytes, size_t step)
{
    struct grpc_frame frame = {0};
    struct outcome out = {0};
    for (size_t at = 0; at < bytes.len; at += step) {
        size_t n = bytes.len - at < step ? bytes.len - at : step;
        struct cursor input = cursor_of(span_part(bytes, at, n));
        enum grpc_frame_event event = GRPC_FRAME_BEGAN;
        while (event != GRPC_FRAME_WANTS) {
            struct span part = {0};
            out.err = grpc_frame_next(&frame, &input, &event, &part);
            if (failed(out.err)) {
                return out;
            }
            out.began += event == GRPC_FRAME_BEGAN;
            if (event == GRPC_FRAME_BYTES) {
                assert_true(out.len + part.len <= sizeof(out.message));
                memcpy(out.message + out.len, part.ptr, part.len);
                out.len += part.len;
            }
        }
        assert_int_equal(input.rest.len, 0);
    }
    out.err = grpc_frame_end(&frame);
    return out;
}

static void test_next_gives_the_message_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t step = 1; step < 12; step++) {
        struct outcome out = run(BYTES("\0\0\0\0\x05hello"), step);
        assert_ok(out.err);
        assert_int_equal(out.began, 1);
        assert_int_equal(out.len, 5);
        assert_memory_equal(out.message, "hello", 5);
    }
}

static void test_next_message_of_no_bytes_is_a_message(void **state)
{
    (void)state;
    struct outcome out = run(BYTES("\0\0\0\0\0"), 2);
    assert_ok(out.err);
    assert_int_equal(out.began, 1);
}

static void test_next_refuses_what_is_not_one_plain_message(void **state)
{
    (void)state;
    for (size_t step = 1; step < 12; step++) {
        assert_fails(run(BYTES(""), step).err, E_UNSUPPORTED);
        assert_fails(run(BYTES("\0\0\0\0"), step).err, E_PROTOCOL);
        assert_fails(run(BYTES("\0\0\0\0\x02"
                               "a"),
                         step)
                         .err,
                     E_PROTOCOL);
        assert_fails(run(BYTES("\0\0\0\0\x01"
                               "abcde"),
                         step)
                         .err,
                     E_PROTOCOL);
        assert_fails(run(BYTES("\0\0\0\0\0\0\0\0\0\0"), step).err, E_UNSUPPORTED);
        assert_fails(run(BYTES("\x01\0\0\0\x01"
                               "a"),
                         step)
                         .err,
                     E_PROTOCOL);
        assert_fails(run(BYTES("\xff\0\0\0\x01"
                               "a"),
                         step)
                         .err,
                     E_PROTOCOL);
    }
}

static void test_next_length_at_the_cap_and_one_past_it(void **state)
{
    (void)state;
    struct grpc_frame frame = {0};
    struct cursor input = cursor_of(BYTES("\0\0\x02\0\0"));
    enum grpc_frame_event event = GRPC_FRAME_WANTS;
    struct span part = {0};
    assert_ok(grpc_frame_next(&frame, &input, &event, &part));
    assert_int_equal(event, GRPC_FRAME_BEGAN);
    assert_int_equal(frame.length, GRPC_MESSAGE_MAX);
    assert_fails(run(BYTES("\0\0\x02\0\x01"), 3).err, E_LIMIT);
    assert_fails(run(BYTES("\0\xff\xff\xff\xff"), 1).err, E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_the_message_in_pieces_of_any_size),
        cmocka_unit_test(test_next_message_of_no_bytes_is_a_message),
        cmocka_unit_test(test_next_refuses_what_is_not_one_plain_message),
        cmocka_unit_test(test_next_length_at_the_cap_and_one_past_it),
    };
    return cmocka_run_group_tests_name("grpc/frame", tests, NULL, NULL);
}
