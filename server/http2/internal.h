/* internal: a session, as session.c, callbacks.c and answer.c know it. For no one else. */
#ifndef SERVER_HTTP2_INTERNAL_H
#define SERVER_HTTP2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "server/http2/session.h"
#include "server/http2/stream.h"

/*
 * Room kept free behind DATA: the largest frame that nghttp2 hands over by itself fits (a HEADERS
 * frame with a grpc-message of GRPC_TEXT_MAX).
 */
#define H2_PULL_RESERVE 1024u
#define H2_FRAME_HEAD   9u

struct h2_shared {
    struct service *service;
    struct h2_stream_pool pool;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
};

enum h2_phase {
    H2_OPEN,
    H2_NOTICED, /* GOAWAY(2^31-1) was said, its PING is not yet answered */
    H2_LEAVING, /* GOAWAY(last stream) was said */
};

struct h2_session {
    struct h2_shared *shared;
    nghttp2_session *ng;
    enum h2_policy policy;
    enum h2_phase phase;
    struct ticket ticket;
    struct h2_stream *streams;
    size_t calls;      /* streams of the calls for all */
    bool has_kept;     /* and one of those for Status */
    struct writer *out; /* while nghttp2 is asked for bytes */
    int64_t now_ms;
    int64_t next_ms;
    int64_t begun_ms;
    /* when a request was last whole, or answered; at first H2_YOUNG_MS after begun_ms */
    int64_t active_ms;
    int64_t drain_by_ms;
    size_t block_size; /* of the header block that is being read, as in RFC 9113 section 6.5.2 */
    bool settings_seen;
    bool ended;
};

static inline void h2_session_note_due(struct h2_session *session, int64_t due_ms)
{
    if (due_ms < session->next_ms) {
        session->next_ms = due_ms;
    }
}

#endif
