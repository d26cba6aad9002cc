#define _GNU_SOURCE
#include "ctl/kms_session.h"

#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/version.h"
#include "ctl/kms_connect.h"

#define INBOX      SECRET_2KIB_BYTES
#define FRAME_HEAD 9u

struct kms_session {
    int fd;
    nghttp2_session *ng;
    struct secret *inbox;
    /* the exchange that runs */
    int64_t deadline_ms;
    int32_t stream;
    bool closed;
    struct span request;
    struct secret *response; /* borrowed */
    struct kms_heard heard;
};

static err_t wait_for(const struct kms_session *session, short events)
{
    int64_t left_ms = session->deadline_ms - clock_mono_ms();
    struct pollfd fd = {.fd = session->fd, .events = events};
    int ready = left_ms <= 0 ? 0 : poll(&fd, 1, (int)left_ms);
    if (ready < 0 && errno != EINTR) {
        return FAIL_ERRNO("cannot wait for the server");
    }
    return ready == 0 ? FAIL(E_DEADLINE, "no answer in time") : OK;
}

static err_t send_all(const struct kms_session *session, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(session->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return FAIL(E_UNAVAILABLE, "the server closed the connection");
        }
        if (sent < 0) {
            TRY(wait_for(session, POLLOUT));
            continue;
        }
        bytes = span_part(bytes, (size_t)sent, bytes.len - (size_t)sent);
    }
    return OK;
}

static ssize_t on_send(nghttp2_session *ng, const uint8_t *data, size_t len, int flags, void *ctx)
{
    (void)ng;
    (void)flags;
    return failed(send_all(ctx, span_of(data, len))) ? NGHTTP2_ERR_CALLBACK_FAILURE : (ssize_t)len;
}

/* The body never passes nghttp2's own buffers: they lie on the ordinary heap. */
/* NOLINTNEXTLINE(readability-function-size): the parameters are nghttp2's */
static ssize_t on_read_body(nghttp2_session *ng, int32_t stream, uint8_t *buf, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)ng;
    (void)stream;
    (void)buf;
    (void)source;
    const struct kms_session *session = ctx;
    size_t body = session->request.len;
    if (body > len) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY | NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)body;
}

static int on_send_body(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len,
                        nghttp2_data_source *source, void *ctx)
{
    (void)ng;
    (void)frame;
    (void)source;
    const struct kms_session *session = ctx;
    err_t err = send_all(session, span_of(head, FRAME_HEAD));
    if (!failed(err)) {
        err = send_all(session, span_part(session->request, 0, len));
    }
    return failed(err) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *ctx)
{
    (void)ng;
    (void)flags;
    struct kms_session *session = ctx;
    if (stream == session->stream && failed(secret_append(session->response, span_of(data, len)))) {
        session->heard.overflow = true;
    }
    return 0;
}

/* Up to three digits; KMS_NO_STATUS otherwise. */
static unsigned status_number(struct span value)
{
    unsigned number = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.len > 3 || value.ptr[i] < '0' || value.ptr[i] > '9') {
            return KMS_NO_STATUS;
        }
        number = number * 10 + (unsigned)(value.ptr[i] - '0');
    }
    return value.len == 0 ? KMS_NO_STATUS : number;
}

/* The byte that the escape in front of `text` stands for; -1 when there is none. */
static int escaped_byte(struct span text)
{
    if (text.len < 3 || text.ptr[0] != '%') {
        return -1;
    }
    int high = OPENSSL_hexchar2int(text.ptr[1]);
    int low = OPENSSL_hexchar2int(text.ptr[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static void keep_message(struct kms_session *session, struct span value)
{
    uint8_t bytes[sizeof(session->heard.message) + 3]; /* no half character within the message */
    size_t len = 0;
    for (size_t i = 0; i < value.len && len < sizeof(bytes); i++) {
        int escaped = escaped_byte(span_part(value, i, value.len - i));
        bytes[len++] = escaped < 0 ? value.ptr[i] : (uint8_t)escaped;
        i += escaped < 0 ? 0 : 2;
    }
    (void)span_to_text(span_of(bytes, len), session->heard.message, sizeof(session->heard.message));
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are nghttp2's */
static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *ctx)
{
    (void)ng;
    (void)flags;
    struct kms_session *session = ctx;
    struct span key = span_of(name, name_len);
    struct span text = span_of(value, value_len);
    if (frame->hd.stream_id != session->stream) {
        return 0;
    }
    if (span_equal(key, span_of_text(":status"))) {
        session->heard.http_status = status_number(text);
    } else if (span_equal(key, span_of_text("grpc-status"))) {
        session->heard.grpc_status = status_number(text);
    } else if (span_equal(key, span_of_text("grpc-message"))) {
        keep_message(session, text);
    }
    return 0;
}

static int on_close(nghttp2_session *ng, int32_t stream, uint32_t code, void *ctx)
{
    (void)ng;
    (void)code;
    struct kms_session *session = ctx;
    session->closed = session->closed || stream == session->stream;
    return 0;
}

static err_t new_session(struct kms_session *session)
{
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return FAIL(E_LIMIT, "out of memory for HTTP/2");
    }
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_body);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    int result = nghttp2_session_client_new(&session->ng, callbacks, session);
    nghttp2_session_callbacks_del(callbacks);
    if (result != 0 || nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, NULL, 0) != 0) {
        return FAIL(E_LIMIT, "out of memory for HTTP/2");
    }
    return OK;
}

err_t kms_session_open(const char *socket_name, int timeout_ms, struct kms_session **ret_session)
{
    CLEANUP(kms_session_close_p) struct kms_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return FAIL_ERRNO("out of memory for a client");
    }
    session->fd = -1;
    TRY(secret_new(SECRET_2KIB, INBOX, &session->inbox));
    TRY(kms_connect(socket_name, timeout_ms, &session->fd));
    TRY(new_session(session));
    *ret_session = TAKE(session);
    return OK;
}

void kms_session_close(struct kms_session *session)
{
    if (session == NULL) {
        return;
    }
    nghttp2_session_del(session->ng);
    own_fd_close_p(&session->fd);
    secret_free(session->inbox);
    free(session);
}

static nghttp2_nv header(const char *name, const char *value)
{
    /* nghttp2 copies both; only its type lacks the const. */
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value),
                        .flags = NGHTTP2_NV_FLAG_NONE};
}

static err_t submit(struct kms_session *session, const char *path, int timeout_ms)
{
    char timeout[16];
    (void)snprintf(timeout, sizeof(timeout), "%dm", timeout_ms);
    const nghttp2_nv headers[] = {
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", path),
        header(":authority", "localhost"),
        header("content-type", "application/grpc"),
        header("user-agent", "p11-kmsctl/" P11KMS_VERSION),
        header("te", "trailers"),
        header("grpc-timeout", timeout),
    };
    const nghttp2_data_provider body = {.read_callback = on_read_body};
    session->stream = nghttp2_submit_request(session->ng, NULL, headers,
                                             sizeof(headers) / sizeof(headers[0]), &body, NULL);
    return session->stream < 0 ? FAIL(E_UNAVAILABLE, "the connection takes no more calls") : OK;
}

static err_t receive(struct kms_session *session)
{
    struct span_mut room = secret_room(session->inbox);
    ssize_t got = recv(session->fd, room.ptr, room.len, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        return FAIL(E_UNAVAILABLE, "the server closed the connection");
    }
    if (got < 0) {
        return wait_for(session, POLLIN);
    }
    secret_set_len(session->inbox, (size_t)got);
    ssize_t used = nghttp2_session_mem_recv(session->ng, room.ptr, (size_t)got);
    secret_set_len(session->inbox, 0);
    return used < 0 ? FAIL(E_PROTOCOL, "the server does not speak HTTP/2") : OK;
}

static err_t run(struct kms_session *session)
{
    while (!session->closed) {
        if (nghttp2_session_send(session->ng) != 0) {
            return FAIL(E_UNAVAILABLE, "cannot send to the server");
        }
        if (!session->closed) { /* sending our own reset closes the stream too */
            TRY(receive(session));
        }
    }
    return OK;
}

err_t kms_session_exchange(struct kms_session *session, const char *path, struct span request,
                           int timeout_ms, struct secret *response, struct kms_heard *ret_heard)
{
    session->deadline_ms = clock_mono_ms() + timeout_ms;
    session->closed = false;
    session->request = request;
    session->response = response;
    session->heard = (struct kms_heard){.http_status = KMS_NO_STATUS, .grpc_status = KMS_NO_STATUS};
    secret_set_len(response, 0);
    TRY(submit(session, path, timeout_ms));
    TRY(run(session));
    *ret_heard = session->heard;
    return OK;
}
