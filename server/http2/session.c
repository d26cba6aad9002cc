#include "server/http2/session.h"

#include <stdlib.h>

#include "server/http2/answer.h"
#include "server/http2/callbacks.h"
#include "server/http2/internal.h"
#include "server/http2/memory.h"

#define WINDOW_BYTES  (1 << 20) /* of the connection: no stream waits for another one's window */
#define RESETS_BURST  10000u    /* all calls of a hung token may hit their deadlines together */
#define RESETS_PER_S  1000u
#define CONTINUATIONS 8u

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
    h2_answer_submit(session, stream);
}

int64_t h2_session_next_ms(const struct h2_session *session)
{
    return session->ended ? INT64_MAX : session->next_ms;
}

static void expire(struct h2_session *session, struct h2_stream *stream)
{
    switch (stream->call.state) {
    case GRPC_HEADERS: /* within a header block nothing else can be read */
        h2_answer_end(session, NGHTTP2_ENHANCE_YOUR_CALM);
        break;
    case GRPC_BODY:
        grpc_call_refuse(&stream->call, FAIL(E_DEADLINE, "request not complete in time"));
        if (session->now_ms >= stream->began_ms + H2_REQUEST_MS) {
            /* A slow peer must not hold one of few connections for long. */
            h2_answer_leave_once(session);
        }
        break;
    case GRPC_WAITING:
        grpc_call_refuse(&stream->call, FAIL(E_DEADLINE, "deadline exceeded"));
        break;
    case GRPC_ANSWERED:
        h2_answer_reset(session, stream, NGHTTP2_CANCEL);
        break;
    }
    h2_answer_submit(session, stream);
}

static void tick_session(struct h2_session *session)
{
    int64_t settings_by_ms = session->begun_ms + H2_SETTINGS_MS;
    bool must_hurry = !session->settings_seen || session->policy == H2_DENY;
    if (h2_session_is_busy(session)) {
        /* its answer is awaited; the session may end behind it */
    } else if (must_hurry && session->now_ms >= settings_by_ms) {
        h2_answer_end(session, NGHTTP2_SETTINGS_TIMEOUT);
    } else if (must_hurry) {
        h2_session_note_due(session, settings_by_ms);
    }
    if (session->phase == H2_NOTICED && session->now_ms >= session->drain_by_ms) {
        h2_answer_leave(session);
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
    h2_answer_leave_once(session);
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
        h2_answer_submit(session, stream);
    }
    h2_answer_leave_once(session);
}

bool h2_session_done(const struct h2_session *session)
{
    return session->ended || (nghttp2_session_want_read(session->ng) == 0 &&
                              nghttp2_session_want_write(session->ng) == 0);
}
