/*
 * stream: a request on its way through a session. All sessions take theirs from one pool, whose
 * size is the number of calls in flight at any time.
 *
 * While more than half of them are free a session may have as many as it likes; then half of what
 * is free above the last 128, and one of these. So an API server alone may fill all its streams,
 * beside four that take what they can it has a dozen, and beside any number one. Another call of
 * its own is kept for each session's Status.
 */
#ifndef SERVER_HTTP2_STREAM_H
#define SERVER_HTTP2_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "server/grpc/call.h"
#include "server/http2/request.h"

#define H2_CALLS_MAX  512u
#define H2_CALLS_LAST 128u /* of them, one for each session */
#define H2_KEPT_MAX   128u /* beside them, for Status */
#define H2_REQUEST_MS 5000  /* to complete a request */
#define H2_TAKE_MS    10000 /* to take an answer */

struct h2_stream {
    struct h2_stream *next; /* in the pool or in its session */
    struct h2_stream *prev;
    int32_t id;
    int64_t began_ms;
    int64_t answered_ms;
    bool submitted;    /* the answer was given to nghttp2 */
    bool remote_ended; /* the peer said END_STREAM */
    bool reset;        /* RST_STREAM is on its way: nothing more is done */
    bool kept;         /* one of those for Status */
    struct h2_request request;
    struct grpc_call call;
};

struct h2_stream_pool {
    struct h2_stream *all;
    struct h2_stream *free;
    size_t fresh; /* streams from here on were never used: their pages cost nothing yet */
    size_t in_use; /* of H2_CALLS_MAX */
    size_t kept_in_use;
};

MUST_USE err_t h2_stream_pool_init(struct h2_stream_pool *pool);
void h2_stream_pool_done(struct h2_stream_pool *pool);
/* True when a session that holds so many calls may have another one. */
bool h2_stream_is_free(const struct h2_stream_pool *pool, size_t held);
/*
 * One of those for all, or of those for Status; NULL when these are in use. The call inside is not
 * yet begun.
 */
struct h2_stream *h2_stream_take(struct h2_stream_pool *pool, bool kept);
/* Ends its call. */
void h2_stream_give(struct h2_stream_pool *pool, struct h2_stream *stream);

/* When something must be done about it though no byte comes; INT64_MAX: never. */
int64_t h2_stream_due_ms(const struct h2_stream *stream);

#endif
