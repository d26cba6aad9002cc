/* callbacks: what nghttp2 says of a session, turned into steps of its streams. For session.c. */
#ifndef SERVER_HTTP2_CALLBACKS_H
#define SERVER_HTTP2_CALLBACKS_H

#include <nghttp2/nghttp2.h>

#include "base/err.h"

/* The context of each is a struct h2_session. */
MUST_USE err_t h2_callbacks_new(nghttp2_session_callbacks **ret_callbacks);

#endif
