#include "server/http2/stream.h"

#include <stdlib.h>

err_t h2_stream_pool_init(struct h2_stream_pool *pool)
{
    struct h2_stream *all = calloc(H2_CALLS_MAX + H2_KEPT_MAX, sizeof(*all));
    if (all == NULL) {
        return FAIL_ERRNO("cannot allocate the pool of calls");
    }
    *pool = (struct h2_stream_pool){.all = all};
    return OK;
}

void h2_stream_pool_done(struct h2_stream_pool *pool)
{
    free(pool->all);
    *pool = (struct h2_stream_pool){0};
}

bool h2_stream_is_free(const struct h2_stream_pool *pool, size_t held)
{
    size_t left = H2_CALLS_MAX - pool->in_use;
    size_t share = left > H2_CALLS_LAST ? (left - H2_CALLS_LAST) / 2 : 0;
    return left > H2_CALLS_MAX / 2 || (left > 0 && held <= share);
}

static struct h2_stream *take_any(struct h2_stream_pool *pool)
{
    struct h2_stream *stream = pool->free;
    if (stream != NULL) {
        pool->free = stream->next;
        return stream;
    }
    return &pool->all[pool->fresh++];
}

struct h2_stream *h2_stream_take(struct h2_stream_pool *pool, bool kept)
{
    size_t *in_use = kept ? &pool->kept_in_use : &pool->in_use;
    if (*in_use == (kept ? H2_KEPT_MAX : H2_CALLS_MAX)) {
        return NULL;
    }
    ++*in_use;
    struct h2_stream *stream = take_any(pool);
    stream->kept = kept;
    stream->next = NULL;
    stream->prev = NULL;
    stream->id = 0;
    stream->began_ms = 0;
    stream->answered_ms = 0;
    stream->submitted = false;
    stream->remote_ended = false;
    stream->reset = false;
    stream->request = (struct h2_request){0};
    return stream;
}

void h2_stream_give(struct h2_stream_pool *pool, struct h2_stream *stream)
{
    grpc_call_done(&stream->call);
    stream->prev = NULL;
    stream->next = pool->free;
    pool->free = stream;
    pool->in_use -= stream->kept ? 0 : 1;
    pool->kept_in_use -= stream->kept ? 1 : 0;
}

int64_t h2_stream_due_ms(const struct h2_stream *stream)
{
    if (stream->reset) {
        return INT64_MAX;
    }
    int64_t whole_ms = stream->began_ms + H2_REQUEST_MS;
    int64_t deadline_ms = stream->call.deadline_ms;
    switch (stream->call.state) {
    case GRPC_HEADERS:
    case GRPC_BODY:
        return deadline_ms < whole_ms ? deadline_ms : whole_ms;
    case GRPC_WAITING:
        return deadline_ms;
    case GRPC_ANSWERED:
        break;
    }
    return stream->answered_ms + H2_TAKE_MS;
}
