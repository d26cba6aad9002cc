/*
 * frame: the one message of a unary request, cut out of a stream of bytes that comes in pieces.
 *
 *   0      1                 5
 *   ┌──────┬─────────────────┬───────────────────┐
 *   │ flag │ length (BE u32) │ message …         │   flag 1: compressed, which we never accept
 *   └──────┴─────────────────┴───────────────────┘
 */
#ifndef SERVER_GRPC_FRAME_H
#define SERVER_GRPC_FRAME_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define GRPC_PREFIX_LEN  5u
#define GRPC_MESSAGE_MAX (128u * 1024)

struct grpc_frame {
    uint8_t prefix[GRPC_PREFIX_LEN];
    size_t prefix_len;
    uint32_t length; /* of the message; valid once the prefix is whole */
    uint32_t left;   /* bytes of it still to come */
    bool begun;      /* the prefix is whole */
};

enum grpc_frame_event {
    GRPC_FRAME_WANTS, /* the input is used up */
    GRPC_FRAME_BEGAN, /* the prefix is whole: frame->length is known and within the cap */
    GRPC_FRAME_BYTES, /* *ret_part is the next piece of the message, a view of the input */
};

/*
 * The next event of the input. E_LIMIT: longer than GRPC_MESSAGE_MAX, said before a byte of it is
 * kept. E_PROTOCOL: compressed without an encoding, or a flag that is not defined. E_UNSUPPORTED: a
 * second message.
 */
MUST_USE err_t grpc_frame_next(struct grpc_frame *frame, struct cursor *input,
                               enum grpc_frame_event *ret_event, struct span *ret_part);

/* The input has ended. E_UNSUPPORTED: no message. E_PROTOCOL: cut short, or bytes behind it. */
MUST_USE err_t grpc_frame_end(const struct grpc_frame *frame);

#endif
