#include "server/http2/session.h"

#include <stdlib.h>
#include <string.h>

#include "server/http2/internal.h"
#include "server/http2/memory.h"

#define WINDOW_BYTES  (1 << 20) /* of the connection: no stream waits for another one's window */
#define RESETS_BURST  10000u    /* all calls of a hung token may hit their deadlines together */
#define RESETS_PER_S  1000u
#define CONTINUATIONS 8u
#define DATA_BLOCKED  512u /* size of a DATA frame that must wait for the next pull */

err_t h2_shared_new(struct service *service, struct h2_shared **ret_shared)
{
    CLEANUP(h2_shared_free_p) struct h2_shared *shared = calloc(1, sizeof(*shared));
    if (shared == NULL) {
        return FAIL_ERRNO("cannot allocate what the sessions share");
    }
    shared->service = service;
    TRY(h2_stream_pool_init(&shared->pool));
    TRY(h2_callbacks_new(&shared->callbacks));
    if (nghttp2_option_new(&shared->option) != 0) {
        return FAIL(E_SYSTEM, "cannot allocate the options of nghttp2");
    }
    nghttp2_option_set_no_http_messaging(shared->option, 1);
    nghttp2_option_set_no_closed_streams(shared->option, 1);
    nghttp2_option_set_max_continuations(shared->option, CONTINUATIONS);
    nghttp2_option_set_stream_reset_rate_limit(shared->option, RESETS_BURST, RESETS_PER_S);
    *ret_shared = TAKE(shared);
    return OK;
}

void h2_shared_free(struct h2_shared *shared)
{
    if (shared != NULL) {
        h2_stream_pool_done(&shared->pool);
        nghttp2_session_callbacks_del(shared->callbacks);
        nghttp2_option_del(shared->option);
        free(shared);
    }
}

size_t h2_shared_calls(const struct h2_shared *shared)
{
    return shared->pool.in_use + shared->pool.kept_in_use;
}

static err_t say_settings(struct h2_session *session)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADERS_ANSWER},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    size_t n = sizeof(settings) / sizeof(settings[0]);
    if (nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, settings, n) != 0 ||
        nghttp2_session_set_local_window_size(session->ng, 0, 0, WINDOW_BYTES) != 0) {
        return FAIL(E_SYSTEM, "cannot say SETTINGS");
    }
    return OK;
}

err_t h2_session_new(struct h2_shared *shared, enum h2_policy policy, struct ticket ticket,
                     int64_t now_ms, struct h2_session **ret_session)
{
    CLEANUP(h2_session_free_p) struct h2_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return FAIL_ERRNO("cannot allocate a session");
    }
    session->shared = shared;
    session->policy = policy;
    session->ticket = ticket;
    session->now_ms = now_ms;
    session->begun_ms = now_ms;
    session->active_ms = now_ms + H2_YOUNG_MS;
    session->next_ms = now_ms + H2_SETTINGS_MS;
    nghttp2_mem memory = {.malloc = h2_memory_malloc,
                          .free = h2_memory_free,
                          .calloc = h2_memory_calloc,
                          .realloc = h2_memory_realloc};
    if (nghttp2_session_server_new3(&session->ng, shared->callbacks, session, shared->option,
                                    &memory) != 0) {
        return FAIL(E_SYSTEM, "cannot allocate a session of nghttp2");
    }
    TRY(say_settings(session));
    *ret_session = TAKE(session);
    return OK;
}

void h2_session_free(struct h2_session *session)
{
    if (session == NULL) {
        return;
    }
    struct h2_stream *next = NULL;
    for (struct h2_stream *stream = session->streams; stream != NULL; stream = next) {
        next = stream->next;
        h2_stream_give(&session->shared->pool, stream);
    }
    nghttp2_session_del(session->ng); /* tells nobody of the streams that were open */
    free(session);
}

void h2_session_note_due(struct h2_session *session, int64_t due_ms)
{
    if (due_ms < session->next_ms) {
        session->next_ms = due_ms;
    }
}

void h2_session_end(struct h2_session *session, uint32_t code)
{
    session->ended = true;
    (void)nghttp2_session_terminate_session(session->ng, code);
}

void h2_session_leave(struct h2_session *session)
{
    session->phase = H2_LEAVING;
    (void)nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(session->ng),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

static void leave_once(struct h2_session *session)
{
    if (session->phase != H2_LEAVING) {
        h2_session_leave(session);
    }
}

void h2_session_reset(struct h2_session *session, struct h2_stream *stream, uint32_t code)
{
    stream->reset = true;
    if (nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, stream->id, code) != 0) {
        h2_session_end(session, NGHTTP2_INTERNAL_ERROR);
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
        h2_session_end(session, NGHTTP2_INTERNAL_ERROR);
    }
    if (session->policy == H2_DENY) {
        leave_once(session);
    }
}

void h2_session_submit(struct h2_session *session, struct h2_stream *stream)
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

void h2_session_submit_overload(struct h2_session *session, int32_t stream)
{
    struct grpc_header headers[GRPC_HEADERS_MAX];
    bool counts = session->policy == H2_SERVE; /* of the denied nobody need know */
    size_t n = grpc_call_overload_head(counts ? session->shared->service : NULL, headers);
    submit(session, stream, headers, n, NULL);
}

err_t h2_session_feed(struct h2_session *session, struct span bytes, int64_t now_ms)
{
    session->now_ms = now_ms;
    if (session->ended) {
        return FAIL(E_PROTOCOL, "the session is over");
    }
    ssize_t n = nghttp2_session_mem_recv(session->ng, bytes.ptr, bytes.len);
    if (n < 0 || session->ended) {
        session->ended = true;
        return FAIL_DETAIL(E_PROTOCOL, n < 0 ? -n : 0, "not HTTP/2, or too much of it");
    }
    return OK;
}

size_t h2_session_pull(struct h2_session *session, struct span_mut room)
{
    struct writer out = writer_of(room);
    session->out = &out;
    while (room.len - out.len >= H2_PULL_RESERVE) {
        const uint8_t *bytes = NULL;
        ssize_t n = nghttp2_session_mem_send(session->ng, &bytes);
        if (n <= 0) {
            session->ended = session->ended || n < 0;
            break;
        }
        writer_bytes(&out, span_of(bytes, (size_t)n));
    }
    session->ended = session->ended || out.bad;
    session->out = NULL;
    return out.len;
}

void h2_session_reply(struct h2_session *session, int32_t stream_id, struct service_reply *reply,
                      int64_t now_ms)
{
    session->now_ms = now_ms;
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session->ng, stream_id);
    if (stream == NULL) {
        secret_free(TAKE(reply->body));
        return;
    }
    session->active_ms = now_ms;
    grpc_call_reply(&stream->call, reply);
    h2_session_submit(session, stream);
}

int64_t h2_session_next_ms(const struct h2_session *session)
{
    return session->ended ? INT64_MAX : session->next_ms;
}

static void expire(struct h2_session *session, struct h2_stream *stream)
{
    switch (stream->call.state) {
    case GRPC_HEADERS: /* within a header block nothing else can be read */
        h2_session_end(session, NGHTTP2_ENHANCE_YOUR_CALM);
        break;
    case GRPC_BODY:
        grpc_call_refuse(&stream->call, FAIL(E_DEADLINE, "request not complete in time"));
        if (session->now_ms >= stream->began_ms + H2_REQUEST_MS) {
            leave_once(session); /* a slow peer must not hold one of few connections for long */
        }
        break;
    case GRPC_WAITING:
        grpc_call_refuse(&stream->call, FAIL(E_DEADLINE, "deadline exceeded"));
        break;
    case GRPC_ANSWERED:
        h2_session_reset(session, stream, NGHTTP2_CANCEL);
        break;
    }
    h2_session_submit(session, stream);
}

static void tick_session(struct h2_session *session)
{
    int64_t settings_by_ms = session->begun_ms + H2_SETTINGS_MS;
    bool must_hurry = !session->settings_seen || session->policy == H2_DENY;
    if (h2_session_is_busy(session)) {
        /* its answer is awaited; the session may end behind it */
    } else if (must_hurry && session->now_ms >= settings_by_ms) {
        h2_session_end(session, NGHTTP2_SETTINGS_TIMEOUT);
    } else if (must_hurry) {
        h2_session_note_due(session, settings_by_ms);
    }
    if (session->phase == H2_NOTICED && session->now_ms >= session->drain_by_ms) {
        h2_session_leave(session);
    } else if (session->phase == H2_NOTICED) {
        h2_session_note_due(session, session->drain_by_ms);
    }
}

void h2_session_tick(struct h2_session *session, int64_t now_ms)
{
    session->now_ms = now_ms;
    if (session->ended || now_ms < session->next_ms) {
        return;
    }
    session->next_ms = INT64_MAX;
    tick_session(session);
    for (struct h2_stream *stream = session->streams; stream != NULL; stream = stream->next) {
        if (h2_stream_due_ms(stream) <= now_ms) {
            expire(session, stream);
        }
        h2_session_note_due(session, h2_stream_due_ms(stream));
    }
}

void h2_session_drain(struct h2_session *session, int64_t now_ms)
{
    session->now_ms = now_ms;
    if (session->phase != H2_OPEN) {
        return;
    }
    session->phase = H2_NOTICED;
    session->drain_by_ms = now_ms + H2_DRAIN_MS;
    h2_session_note_due(session, session->drain_by_ms);
    (void)nghttp2_submit_shutdown_notice(session->ng);
    (void)nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, NULL);
}

void h2_session_deny(struct h2_session *session, int64_t now_ms)
{
    session->now_ms = now_ms;
    session->policy = H2_DENY;
    session->begun_ms = now_ms;
    h2_session_note_due(session, now_ms + H2_SETTINGS_MS);
    leave_once(session);
}

bool h2_session_is_busy(const struct h2_session *session)
{
    const struct h2_stream *stream = session->streams;
    while (stream != NULL && stream->call.state != GRPC_WAITING) {
        stream = stream->next;
    }
    return stream != NULL;
}

int64_t h2_session_idle_since_ms(const struct h2_session *session)
{
    bool goes = session->ended || session->phase != H2_OPEN;
    return goes || h2_session_is_busy(session) ? INT64_MAX : session->active_ms;
}

void h2_session_abandon(struct h2_session *session, int64_t now_ms)
{
    session->now_ms = now_ms;
    for (struct h2_stream *stream = session->streams; stream != NULL; stream = stream->next) {
        grpc_call_refuse(&stream->call, FAIL(E_UNAVAILABLE, "the plugin is shutting down"));
        h2_session_submit(session, stream);
    }
    leave_once(session);
}

bool h2_session_done(const struct h2_session *session)
{
    return session->ended || (nghttp2_session_want_read(session->ng) == 0 &&
                              nghttp2_session_want_write(session->ng) == 0);
}
