/*
 * answer: what a session says to its peer, handed to nghttp2: answers of calls, resets, and its own
 * end. Knows nothing of what comes in. For session.c and callbacks.c.
 */
#ifndef SERVER_HTTP2_ANSWER_H
#define SERVER_HTTP2_ANSWER_H

#include "server/http2/internal.h"

/* Hands over the answer of the call, when there is one that nghttp2 does not have yet. */
void h2_answer_submit(struct h2_session *session, struct h2_stream *stream);
/* To a stream that got no call. */
void h2_answer_overload(struct h2_session *session, int32_t stream);
void h2_answer_reset(struct h2_session *session, struct h2_stream *stream, uint32_t code);
/* GOAWAY(last stream): no new call is taken, those that run are answered. */
void h2_answer_leave(struct h2_session *session);
void h2_answer_leave_once(struct h2_session *session);
/* The session is over: says why, and is done. */
void h2_answer_end(struct h2_session *session, uint32_t code);

#endif
