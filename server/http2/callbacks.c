/*
 * What nghttp2 says of a session, turned into steps of its streams. No callback of a stream's end
 * fails: nghttp2 1.52 leaks when one does.
 */
#include "server/http2/callbacks.h"

#include "server/http2/answer.h"
#include "server/http2/internal.h"

static struct h2_stream *stream_of(nghttp2_session *ng, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ng, id);
}

static bool is_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static bool ends_stream(const nghttp2_frame *frame)
{
    return (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

static void attach(struct h2_session *session, struct h2_stream *stream)
{
    stream->next = session->streams;
    if (stream->next != NULL) {
        stream->next->prev = stream;
    }
    session->streams = stream;
    session->calls += stream->kept ? 0 : 1;
    session->has_kept |= stream->kept;
}

static void detach(struct h2_session *session, struct h2_stream *stream)
{
    if (stream->prev != NULL) {
        stream->prev->next = stream->next;
    } else {
        session->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    session->calls -= stream->kept ? 0 : 1;
    session->has_kept = session->has_kept && !stream->kept;
}

/* Within its share; else, since the method is not known yet, one of those for Status. */
static struct h2_stream *take_call(struct h2_session *session)
{
    struct h2_stream_pool *pool = &session->shared->pool;
    if (session->policy == H2_DENY && session->streams != NULL) {
        return NULL;
    }
    if (h2_stream_is_free(pool, session->calls)) {
        return h2_stream_take(pool, false);
    }
    return session->has_kept ? NULL : h2_stream_take(pool, true);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    struct h2_session *session = ctx;
    session->block_size = 0;
    if (!is_request(frame)) {
        return 0;
    }
    struct h2_stream *stream = take_call(session);
    if (stream == NULL) {
        return 0; /* refused once its headers are whole, since they must be decoded anyway */
    }
    stream->id = frame->hd.stream_id;
    stream->began_ms = session->now_ms;
    struct ticket ticket = session->ticket;
    ticket.stream = stream->id;
    grpc_call_init(&stream->call, session->shared->service, ticket);
    attach(session, stream);
    h2_session_note_due(session, h2_stream_due_ms(stream));
    return nghttp2_session_set_stream_user_data(ng, stream->id, stream) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name_buf,
                     nghttp2_rcbuf *value_buf, uint8_t flags, void *ctx)
{
    (void)flags;
    struct h2_session *session = ctx;
    nghttp2_vec name = nghttp2_rcbuf_get_buf(name_buf);
    nghttp2_vec value = nghttp2_rcbuf_get_buf(value_buf);
    session->block_size += name.len + value.len + 32;
    if (session->block_size > H2_HEADERS_CLOSE) {
        h2_answer_end(session, NGHTTP2_ENHANCE_YOUR_CALM);
        return NGHTTP2_ERR_CALLBACK_FAILURE; /* stops the decoding, which is what costs */
    }
    struct h2_stream *stream = stream_of(ng, frame->hd.stream_id);
    if (stream == NULL || stream->reset) {
        return 0;
    }
    struct span name_span = span_of(name.base, name.len);
    struct span value_span = span_of(value.base, value.len);
    h2_request_header(&stream->request, name_span, value_span);
    if (!stream->request.headers_ended && !stream->request.malformed) {
        grpc_call_header(&stream->call, name_span, value_span);
    }
    return 0;
}

static void on_stream_end(struct h2_session *session, struct h2_stream *stream)
{
    stream->remote_ended = true;
    session->active_ms = session->now_ms;
    h2_request_end(&stream->request);
    if (stream->request.malformed) {
        h2_answer_reset(session, stream, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    if (session->policy == H2_DENY) { /* not before: the peer would find us gone while it sends */
        grpc_call_refuse(&stream->call, FAIL(E_DENIED, "this user may not use the plugin"));
    }
    grpc_call_end(&stream->call);
    /* an answer notes when it must be taken as it is submitted */
    if (stream->call.state == GRPC_WAITING) {
        h2_session_note_due(session, h2_stream_due_ms(stream));
    }
}

static void on_headers_whole(struct h2_session *session, struct h2_stream *stream)
{
    struct grpc_call *call = &stream->call;
    if (stream->request.list_size > H2_HEADERS_ANSWER) {
        grpc_call_refuse(call, FAIL(E_LIMIT, "headers longer than 8 KiB"));
    } else if (call->state == GRPC_HEADERS) {
        grpc_call_headers_end(call, session->now_ms);
        h2_session_note_due(session, h2_stream_due_ms(stream));
    }
}

static void on_headers(struct h2_session *session, struct h2_stream *stream, bool ended)
{
    h2_request_headers_end(&stream->request, ended);
    if (stream->request.malformed) {
        h2_answer_reset(session, stream, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    on_headers_whole(session, stream);
}

/*
 * It has the call that is kept for a Status, and is none: the call goes back before anything is
 * sent.
 */
static void on_overload(struct h2_session *session, struct h2_stream *stream)
{
    int32_t id = stream->id;
    (void)nghttp2_session_set_stream_user_data(session->ng, id, NULL);
    detach(session, stream);
    h2_stream_give(&session->shared->pool, stream);
    h2_answer_overload(session, id);
}

/* HEADERS (with its CONTINUATIONs) or DATA is complete. */
static void on_message_frame(struct h2_session *session, const nghttp2_frame *frame)
{
    struct h2_stream *stream = stream_of(session->ng, frame->hd.stream_id);
    if (stream == NULL) {
        if (is_request(frame)) {
            h2_answer_overload(session, frame->hd.stream_id);
        }
        return;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && !stream->reset) {
        on_headers(session, stream, ends_stream(frame));
    }
    if (is_request(frame) && stream->kept && !stream->reset &&
        !grpc_call_is_status(&stream->call)) {
        on_overload(session, stream);
        return;
    }
    if (ends_stream(frame) && !stream->reset) {
        on_stream_end(session, stream);
    }
    h2_answer_submit(session, stream);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    (void)ng;
    struct h2_session *session = ctx;
    bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
        on_message_frame(session, frame);
    } else if (frame->hd.type == NGHTTP2_SETTINGS && !is_ack) {
        session->settings_seen = true;
    } else if (frame->hd.type == NGHTTP2_PING && is_ack && session->phase == H2_NOTICED) {
        h2_answer_leave(session);
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *ctx)
{
    (void)flags;
    struct h2_session *session = ctx;
    struct h2_stream *stream = stream_of(ng, id);
    if (stream == NULL || stream->reset) {
        return 0;
    }
    h2_request_data(&stream->request, len);
    if (stream->request.malformed) {
        h2_answer_reset(session, stream, NGHTTP2_PROTOCOL_ERROR);
        return 0;
    }
    if (session->policy != H2_DENY) {
        grpc_call_data(&stream->call, span_of(data, len));
    }
    h2_answer_submit(session, stream);
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ctx)
{
    (void)code;
    struct h2_session *session = ctx;
    struct h2_stream *stream = stream_of(ng, id);
    if (stream != NULL) {
        detach(session, stream);
        h2_stream_give(&session->shared->pool, stream);
    }
    return 0;
}

/* An answer that ends before the request does: tells the peer that the rest is not wanted. */
static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    (void)ctx;
    if (frame->hd.type == NGHTTP2_HEADERS && ends_stream(frame) &&
        nghttp2_session_get_stream_remote_close(ng, frame->hd.stream_id) == 0) {
        (void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len,
                        nghttp2_data_source *source, void *ctx)
{
    (void)ng;
    (void)frame;
    struct h2_session *session = ctx;
    struct h2_stream *stream = source->ptr;
    struct writer *out = session->out;
    if (out->room.len - out->len < H2_FRAME_HEAD + len + H2_PULL_RESERVE) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    writer_bytes(out, span_of(head, H2_FRAME_HEAD));
    grpc_call_write(&stream->call, len, out);
    return 0;
}

err_t h2_callbacks_new(nghttp2_session_callbacks **ret_callbacks)
{
    nghttp2_session_callbacks *set = NULL;
    if (nghttp2_session_callbacks_new(&set) != 0) {
        return FAIL(E_SYSTEM, "cannot allocate the callbacks of nghttp2");
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(set, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(set, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(set, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(set, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(set, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(set, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(set, on_send_data);
    *ret_callbacks = set;
    return OK;
}
