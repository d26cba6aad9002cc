/*
 * session: one HTTP/2 connection (RFC 9113, cleartext with prior knowledge), bytes in and bytes
 * out. It knows no socket and no clock: the owner of the connection feeds what came, pulls what
 * must go, and passes the time. The only user of nghttp2.
 *
 *   limit                                    answer
 *   256 streams a session (advertised)       nghttp2 refuses the stream
 *   512 calls of all sessions, and a share   RESOURCE_EXHAUSTED, but for one Status a session
 *   of them (stream.h)
 *   header list above 8 KiB                  RESOURCE_EXHAUSTED, above 64 KiB the session ends
 *   5 s from connect to SETTINGS             the session ends
 *   5 s from HEADERS to END_STREAM           DEADLINE_EXCEEDED and GOAWAY (within headers: the end)
 *   10 s to take an answer (zero window)     RST_STREAM(CANCEL)
 */
#ifndef SERVER_HTTP2_SESSION_H
#define SERVER_HTTP2_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "server/grpc/call.h"

#define H2_STREAMS_MAX 256u
#define H2_SETTINGS_MS 5000
#define H2_YOUNG_MS    1000  /* so long a new session counts as used, to send its first request */
#define H2_DRAIN_MS    1000  /* at most so long between the two GOAWAYs of a drain */
#define H2_PULL_MIN    2048u /* smallest room that makes h2_session_pull go on */

/* What all sessions share: the pool of calls, the options of nghttp2, the service behind them. */
struct h2_shared;

MUST_USE err_t h2_shared_new(struct service *service, struct h2_shared **ret_shared);
/* After the last session. NULL is fine. */
void h2_shared_free(struct h2_shared *shared);
DEFINE_CLEANUP(struct h2_shared *, h2_shared_free)
size_t h2_shared_calls(const struct h2_shared *shared);

struct h2_session;

enum h2_policy {
    H2_SERVE,
    /*
     * The first call gets PERMISSION_DENIED, then, or after 5 s, the session ends. One call of the
     * pool at a time, and no body is kept.
     */
    H2_DENY,
};

/* Tickets of its calls carry conn and generation of `ticket`. SETTINGS can be pulled at once. */
MUST_USE err_t h2_session_new(struct h2_shared *shared, enum h2_policy policy, struct ticket ticket,
                              int64_t now_ms, struct h2_session **ret_session);
/* Cancels the calls that wait. NULL is fine. */
void h2_session_free(struct h2_session *session);
DEFINE_CLEANUP(struct h2_session *, h2_session_free)

/* Bytes of the peer. After an error: pull once more what is left to say, then close. */
MUST_USE err_t h2_session_feed(struct h2_session *session, struct span bytes, int64_t now_ms);

/*
 * Writes bytes for the peer into room and returns how many. Fewer than there are to say when the
 * room is used up: call again with an empty buffer until it returns 0. room.len >= H2_PULL_MIN.
 */
size_t h2_session_pull(struct h2_session *session, struct span_mut room);

/* The answer to a waiting call; takes reply->body. A stream that has gone is no error. */
void h2_session_reply(struct h2_session *session, int32_t stream, struct service_reply *reply,
                      int64_t now_ms);

/* When h2_session_tick wants to be called; may be earlier than needed. INT64_MAX: not at all. */
int64_t h2_session_next_ms(const struct h2_session *session);
void h2_session_tick(struct h2_session *session, int64_t now_ms);

/* GOAWAY(2^31-1) now; after a round trip GOAWAY(last stream); the calls that run are finished. */
void h2_session_drain(struct h2_session *session, int64_t now_ms);

/*
 * From now on it is as H2_DENY: GOAWAY(last stream) now, and only calls that the service has are
 * finished.
 */
void h2_session_deny(struct h2_session *session, int64_t now_ms);

/* True while the service has a call of it. */
bool h2_session_is_busy(const struct h2_session *session);
/*
 * CLOCK_MONOTONIC ms when the peer last had a request whole or an answer; unfinished requests do
 * not count. Of a new session it may lie ahead. INT64_MAX while the session is busy, or is on its
 * way out already.
 */
int64_t h2_session_idle_since_ms(const struct h2_session *session);

/* Answers every call that is still open with UNAVAILABLE and says GOAWAY: pull, then free. */
void h2_session_abandon(struct h2_session *session, int64_t now_ms);

/* True when there is nothing more to read or to say: close the connection. */
bool h2_session_done(const struct h2_session *session);

#endif
