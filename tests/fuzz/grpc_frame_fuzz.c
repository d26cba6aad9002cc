/*
 * Byte 0: size of the pieces; the rest: the body of a request. In pieces or whole, the outcome is
 * the same.
 */
#include "server/grpc/frame.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

struct outcome {
    enum err_code code;
    size_t len;
    uint32_t sum; /* of the message's bytes, with their places */
};

static err_t take(struct grpc_frame *frame, struct span bytes, struct outcome *outcome)
{
    struct cursor input = cursor_of(bytes);
    for (;;) {
        enum grpc_frame_event event = GRPC_FRAME_WANTS;
        struct span part = {0};
        TRY(grpc_frame_next(frame, &input, &event, &part));
        if (event == GRPC_FRAME_WANTS) {
            return OK;
        }
        for (size_t i = 0; i < part.len; i++) {
            outcome->sum = outcome->sum * 31 + part.ptr[i];
        }
        outcome->len += part.len;
        if (outcome->len > frame->length || frame->length > GRPC_MESSAGE_MAX) {
            abort();
        }
    }
}

static struct outcome run(struct span bytes, size_t piece)
{
    struct grpc_frame frame = {0};
    struct outcome outcome = {0};
    err_t err = OK;
    while (bytes.len > 0 && !failed(err)) {
        size_t n = piece < bytes.len ? piece : bytes.len;
        err = take(&frame, span_part(bytes, 0, n), &outcome);
        bytes = span_part(bytes, n, bytes.len - n);
    }
    if (!failed(err)) {
        err = grpc_frame_end(&frame);
    }
    outcome.code = err.code;
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct span bytes = span_of(data + 1, size - 1);
    struct outcome whole = run(bytes, size);
    struct outcome pieces = run(bytes, data[0] == 0 ? 1 : data[0]);
    if (whole.code != pieces.code || whole.len != pieces.len || whole.sum != pieces.sum) {
        abort();
    }
    return 0;
}
