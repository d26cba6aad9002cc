/*
 * request: whether the headers of a request are well formed (RFC 9113 section 8). nghttp2's own
 * checks are off, since they refuse the raw socket path that grpc-go before 1.57 sends as
 * :authority.
 */
#ifndef SERVER_HTTP2_REQUEST_H
#define SERVER_HTTP2_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define H2_HEADERS_ANSWER (8u * 1024)  /* name + value + 32 each: above it the call is refused */
#define H2_HEADERS_CLOSE  (64u * 1024) /* above it the connection is closed */

struct h2_request {
    unsigned pseudo; /* a bit for each pseudo-header seen */
    bool malformed;
    bool regular_seen;  /* no pseudo-header may follow */
    bool headers_ended; /* what follows are trailers */
    bool has_length;
    uint64_t content_length;
    uint64_t body_len;
    size_t list_size;
};

/* A header or trailer field; sets request->malformed and adds to request->list_size. */
void h2_request_header(struct h2_request *request, struct span name, struct span value);
/* The header block is whole. `ended`: END_STREAM stood on it. */
void h2_request_headers_end(struct h2_request *request, bool ended);
void h2_request_data(struct h2_request *request, size_t len);
/* END_STREAM came: the body must be as long as content-length said. */
void h2_request_end(struct h2_request *request);

#endif
