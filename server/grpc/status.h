/*
 * status: from the class of an error to the number that a gRPC client sees, and its text on the
 * wire. The only mapping in the product.
 *
 *   E_NONE 0 · E_INVALID, E_CRYPTO 3 · E_DEADLINE 4 · E_NOT_FOUND 5 · E_DENIED 7 · E_LIMIT 8
 *   E_STATE 9 · E_UNSUPPORTED 12 · E_PROTOCOL, E_SYSTEM, E_BUG 13 · E_UNAVAILABLE, E_TOKEN 14
 */
#ifndef SERVER_GRPC_STATUS_H
#define SERVER_GRPC_STATUS_H

#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

/* A client makes codes of its own: the text says that it was us. */
#define GRPC_TEXT_PREFIX "p11-kms: "

enum grpc_status {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
};

enum grpc_status grpc_status_of(enum err_code code);

/* "0", "14": static storage. */
const char *grpc_status_digits(enum grpc_status status);

/*
 * Appends `text` as grpc-message wants it: every byte outside 0x20..0x7e, and '%', as %XX. Cut
 * before the first UTF-8 character (a byte of none: the byte) that does not fit whole; never sets
 * out->bad.
 */
void grpc_status_encode(struct span text, struct writer *out);

#endif
