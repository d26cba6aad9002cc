/*
 * call: one gRPC call, from its headers to its answer. Knows no stream and no connection: http2
 * feeds it and reads the answer out of it.
 *
 *   grpc_call_init → grpc_call_header … → grpc_call_headers_end → grpc_call_data … → grpc_call_end
 *
 *   GRPC_HEADERS ─► GRPC_BODY ─► GRPC_WAITING ─► GRPC_ANSWERED   (an error: to ANSWERED from each)
 *
 * In ANSWERED the caller sends grpc_call_head; and, unless that is all (grpc_call_is_short), the
 * message and grpc_call_trailers. The request body and the answer lie in the arena.
 */
#ifndef SERVER_GRPC_CALL_H
#define SERVER_GRPC_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"
#include "base/ticket.h"
#include "server/grpc/frame.h"
#include "server/grpc/status.h"
#include "server/kms/call.h"

#define GRPC_HEADERS_MAX 5u
#define GRPC_TEXT_MAX    640u /* of the encoded grpc-message: trailers stay far below 8 KiB */

struct service;

enum grpc_state { GRPC_HEADERS, GRPC_BODY, GRPC_WAITING, GRPC_ANSWERED };

struct grpc_header {
    const char *name; /* literal */
    struct span value;
};

struct grpc_call {
    enum grpc_state state;
    struct service *service;
    struct ticket ticket;
    int64_t deadline_ms; /* CLOCK_MONOTONIC; INT64_MAX: none */

    /* what the headers said */
    bool is_post;
    bool is_grpc;
    err_t refusal; /* the first of: unknown method, encoding, timeout */
    bool tell_encodings;
    enum codec_method method;
    bool has_method;
    int64_t timeout_ms;
    enum service_authority authority;

    struct grpc_frame frame;
    struct secret *request; /* until it is handled */

    /* the answer */
    const char *http_status;
    enum grpc_status status;
    struct secret *reply;
    uint8_t prefix[GRPC_PREFIX_LEN];
    size_t sent;
    size_t text_len;
    uint8_t text[GRPC_TEXT_MAX];
};

void grpc_call_init(struct grpc_call *call, struct service *service, struct ticket ticket);
/* Frees what it holds; a call that waits is cancelled at the service. */
void grpc_call_done(struct grpc_call *call);

/* Any header of a well-formed request, pseudo-headers too. Unknown ones are ignored. */
void grpc_call_header(struct grpc_call *call, struct span name, struct span value);
void grpc_call_headers_end(struct grpc_call *call, int64_t now_ms);
void grpc_call_data(struct grpc_call *call, struct span bytes);
/* The request is whole: hands it to the service, which answers at once or later. */
void grpc_call_end(struct grpc_call *call);

/* The answer of the service to a call in GRPC_WAITING. Takes reply->body. */
void grpc_call_reply(struct grpc_call *call, struct service_reply *reply);
/* Answers with an error whatever state it is in but ANSWERED; a waiting call is cancelled. */
void grpc_call_refuse(struct grpc_call *call, err_t err);
/* Its headers are whole, and it asks how we are. */
bool grpc_call_is_status(const struct grpc_call *call);

/* Of an ANSWERED call. Values live as long as the call. */
size_t grpc_call_head(const struct grpc_call *call,
                      struct grpc_header ret_headers[GRPC_HEADERS_MAX]);
size_t grpc_call_trailers(const struct grpc_call *call,
                          struct grpc_header ret_headers[GRPC_HEADERS_MAX]);
/* True when the head is the whole answer. */
bool grpc_call_is_short(const struct grpc_call *call);
/* Bytes of the framed message not yet written. */
size_t grpc_call_left(const struct grpc_call *call);
/* Writes the next n of them. */
void grpc_call_write(struct grpc_call *call, size_t n, struct writer *out);

/*
 * The answer to a call for which there is not even a struct grpc_call; counted unless service is
 * NULL.
 */
size_t grpc_call_overload_head(struct service *service,
                               struct grpc_header ret_headers[GRPC_HEADERS_MAX]);

#endif
