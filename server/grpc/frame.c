#include "server/grpc/frame.h"

static err_t check_prefix(const struct grpc_frame *frame)
{
    if (frame->begun) {
        return FAIL(E_UNSUPPORTED, "a second message in a unary call");
    }
    if (frame->prefix[0] == 1) {
        return FAIL(E_PROTOCOL, "compressed message without grpc-encoding");
    }
    if (frame->prefix[0] != 0) {
        return FAIL(E_PROTOCOL, "undefined flag before a message");
    }
    return OK;
}

/* One byte of a prefix; *ret_whole when that was the last. */
static err_t take_prefix(struct grpc_frame *frame, struct cursor *input, bool *ret_whole)
{
    frame->prefix[frame->prefix_len++] = cursor_u8(input);
    if (frame->prefix_len < GRPC_PREFIX_LEN) {
        return OK;
    }
    TRY(check_prefix(frame));
    struct cursor length = cursor_of(span_of(frame->prefix + 1, GRPC_PREFIX_LEN - 1));
    frame->length = cursor_u32(&length);
    if (frame->length > GRPC_MESSAGE_MAX) {
        return FAIL(E_LIMIT, "message longer than 128 KiB");
    }
    frame->left = frame->length;
    frame->begun = true;
    frame->prefix_len = 0;
    *ret_whole = true;
    return OK;
}

err_t grpc_frame_next(struct grpc_frame *frame, struct cursor *input,
                      enum grpc_frame_event *ret_event, struct span *ret_part)
{
    if (frame->left > 0 && input->rest.len > 0) {
        size_t n = input->rest.len < frame->left ? input->rest.len : frame->left;
        *ret_part = cursor_bytes(input, n);
        frame->left -= (uint32_t)n;
        *ret_event = GRPC_FRAME_BYTES;
        return OK;
    }
    bool whole = false;
    while (!whole && input->rest.len > 0) {
        TRY(take_prefix(frame, input, &whole));
    }
    *ret_event = whole ? GRPC_FRAME_BEGAN : GRPC_FRAME_WANTS;
    return OK;
}

err_t grpc_frame_end(const struct grpc_frame *frame)
{
    if (!frame->begun && frame->prefix_len == 0) {
        return FAIL(E_UNSUPPORTED, "no message in a unary call");
    }
    if (!frame->begun || frame->left > 0) {
        return FAIL(E_PROTOCOL, "message cut short");
    }
    if (frame->prefix_len > 0) {
        return FAIL(E_PROTOCOL, "bytes behind the message");
    }
    return OK;
}
