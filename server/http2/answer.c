#include "server/http2/answer.h"

#include <string.h>

#define DATA_BLOCKED 512u /* size of a DATA frame that must wait for the next pull */

void h2_answer_end(struct h2_session *session, uint32_t code)
{
    session->ended = true;
    (void)nghttp2_session_terminate_session(session->ng, code);
}

void h2_answer_leave(struct h2_session *session)
{
    session->phase = H2_LEAVING;
    (void)nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(session->ng),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

void h2_answer_leave_once(struct h2_session *session)
{
    if (session->phase != H2_LEAVING) {
        h2_answer_leave(session);
    }
}

void h2_answer_reset(struct h2_session *session, struct h2_stream *stream, uint32_t code)
{
    stream->reset = true;
    if (nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, stream->id, code) != 0) {
        h2_answer_end(session, NGHTTP2_INTERNAL_ERROR);
    }
}

/* Names are literals and values live in the call, so nghttp2 need not copy them. */
static void to_nv(const struct grpc_header *headers, size_t n, nghttp2_nv *ret_nv)
{
    for (size_t i = 0; i < n; i++) {
        ret_nv[i] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)headers[i].name,
            .namelen = strlen(headers[i].name),
            .value = (uint8_t *)(uintptr_t)headers[i].value.ptr,
            .valuelen = headers[i].value.len,
            .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
        };
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many bytes of the answer the next DATA frame takes; on_send_data writes them. */
/* NOLINTNEXTLINE(readability-function-size): the parameters are nghttp2's */
static ssize_t read_answer(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t len,
                           uint32_t *data_flags, nghttp2_data_source *source, void *ctx)
{
    (void)buf;
    struct h2_session *session = ctx;
    struct h2_stream *stream = source->ptr;
    size_t room = session->out->room.len - session->out->len;
    size_t fits = room > H2_FRAME_HEAD + H2_PULL_RESERVE + DATA_BLOCKED
                      ? room - H2_FRAME_HEAD - H2_PULL_RESERVE
                      : DATA_BLOCKED;
    size_t left = grpc_call_left(&stream->call);
    size_t n = smaller(smaller(left, len), fits);
    *data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n < left) {
        return (ssize_t)n;
    }
    struct grpc_header headers[GRPC_HEADERS_MAX];
    nghttp2_nv nv[GRPC_HEADERS_MAX];
    size_t count = grpc_call_trailers(&stream->call, headers);
    to_nv(headers, count, nv);
    *data_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return nghttp2_submit_trailer(ng, id, nv, count) == 0 ? (ssize_t)n
                                                          : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void submit(struct h2_session *session, int32_t id, const struct grpc_header *headers,
                   size_t n, const nghttp2_data_provider *body)
{
    nghttp2_nv nv[GRPC_HEADERS_MAX];
    to_nv(headers, n, nv);
    if (nghttp2_submit_response(session->ng, id, nv, n, body) != 0) {
        h2_answer_end(session, NGHTTP2_INTERNAL_ERROR);
    }
    if (session->policy == H2_DENY) {
        h2_answer_leave_once(session);
    }
}

void h2_answer_submit(struct h2_session *session, struct h2_stream *stream)
{
    if (stream->call.state != GRPC_ANSWERED || stream->submitted || stream->reset) {
        return;
    }
    stream->submitted = true;
    stream->answered_ms = session->now_ms;
    h2_session_note_due(session, h2_stream_due_ms(stream));
    struct grpc_header headers[GRPC_HEADERS_MAX];
    size_t n = grpc_call_head(&stream->call, headers);
    nghttp2_data_provider body = {.source = {.ptr = stream}, .read_callback = read_answer};
    submit(session, stream->id, headers, n, grpc_call_is_short(&stream->call) ? NULL : &body);
}

void h2_answer_overload(struct h2_session *session, int32_t stream)
{
    struct grpc_header headers[GRPC_HEADERS_MAX];
    bool counts = session->policy == H2_SERVE; /* of the denied nobody need know */
    size_t n = grpc_call_overload_head(counts ? session->shared->service : NULL, headers);
    submit(session, stream, headers, n, NULL);
}
