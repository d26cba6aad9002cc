#define _GNU_SOURCE
#include "ctl/kms_client.h"

#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/version.h"

#define PREFIX_LEN 5u /* compressed flag, u32 length */
#define FRAME_HEAD 9u
#define NO_STATUS  UINT32_MAX

struct kms_client {
    int fd;
    nghttp2_session *session;
    struct secret *inbox;
    int64_t deadline_ms;
    /* the call that runs */
    int32_t stream;
    bool closed;
    bool overflow;
    unsigned http_status;
    unsigned grpc_status;
    char message[512];
    struct secret *request;
    struct secret *response;
};

static err_t wait_for(const struct kms_client *client, short events)
{
    int64_t left_ms = client->deadline_ms - clock_mono_ms();
    struct pollfd fd = {.fd = client->fd, .events = events};
    int ready = left_ms <= 0 ? 0 : poll(&fd, 1, (int)left_ms);
    if (ready < 0 && errno != EINTR) {
        return FAIL_ERRNO("cannot wait for the server");
    }
    return ready == 0 ? FAIL(E_DEADLINE, "no answer in time") : OK;
}

static err_t send_all(const struct kms_client *client, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(client->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return FAIL(E_UNAVAILABLE, "the server closed the connection");
        }
        if (sent < 0) {
            TRY(wait_for(client, POLLOUT));
            continue;
        }
        bytes = span_part(bytes, (size_t)sent, bytes.len - (size_t)sent);
    }
    return OK;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t len, int flags,
                       void *ctx)
{
    (void)session;
    (void)flags;
    return failed(send_all(ctx, span_of(data, len))) ? NGHTTP2_ERR_CALLBACK_FAILURE : (ssize_t)len;
}

/* The body never passes nghttp2's own buffers: they lie on the ordinary heap. */
/* NOLINTNEXTLINE(readability-function-size): the parameters are nghttp2's */
static ssize_t on_read_body(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)session;
    (void)stream;
    (void)buf;
    (void)source;
    const struct kms_client *client = ctx;
    size_t body = secret_view(client->request).len;
    if (body > len) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY | NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)body;
}

static int on_send_body(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t len, nghttp2_data_source *source, void *ctx)
{
    (void)session;
    (void)frame;
    (void)source;
    const struct kms_client *client = ctx;
    err_t err = send_all(client, span_of(head, FRAME_HEAD));
    if (!failed(err)) {
        err = send_all(client, span_part(secret_view(client->request), 0, len));
    }
    return failed(err) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *ctx)
{
    (void)session;
    (void)flags;
    struct kms_client *client = ctx;
    if (stream == client->stream && failed(secret_append(client->response, span_of(data, len)))) {
        client->overflow = true;
    }
    return 0;
}

/* Up to three digits; NO_STATUS otherwise. */
static unsigned status_number(struct span value)
{
    unsigned number = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.len > 3 || value.ptr[i] < '0' || value.ptr[i] > '9') {
            return NO_STATUS;
        }
        number = number * 10 + (unsigned)(value.ptr[i] - '0');
    }
    return value.len == 0 ? NO_STATUS : number;
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

static void keep_message(struct kms_client *client, struct span value)
{
    uint8_t bytes[sizeof(client->message) + 3]; /* no half character within the message */
    size_t len = 0;
    for (size_t i = 0; i < value.len && len < sizeof(bytes); i++) {
        int escaped = escaped_byte(span_part(value, i, value.len - i));
        bytes[len++] = escaped < 0 ? value.ptr[i] : (uint8_t)escaped;
        i += escaped < 0 ? 0 : 2;
    }
    (void)span_to_text(span_of(bytes, len), client->message, sizeof(client->message));
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are nghttp2's */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *ctx)
{
    (void)session;
    (void)flags;
    struct kms_client *client = ctx;
    struct span key = span_of(name, name_len);
    struct span text = span_of(value, value_len);
    if (frame->hd.stream_id != client->stream) {
        return 0;
    }
    if (span_equal(key, span_of_text(":status"))) {
        client->http_status = status_number(text);
    } else if (span_equal(key, span_of_text("grpc-status"))) {
        client->grpc_status = status_number(text);
    } else if (span_equal(key, span_of_text("grpc-message"))) {
        keep_message(client, text);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *ctx)
{
    (void)session;
    (void)code;
    struct kms_client *client = ctx;
    client->closed = client->closed || stream == client->stream;
    return 0;
}

static err_t new_session(struct kms_client *client)
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
    int result = nghttp2_session_client_new(&client->session, callbacks, client);
    nghttp2_session_callbacks_del(callbacks);
    if (result != 0 || nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, NULL, 0) != 0) {
        return FAIL(E_LIMIT, "out of memory for HTTP/2");
    }
    return OK;
}

/*
 * A server whose queue is full makes connect wait; the limit is the socket's, for what blocks on
 * it.
 */
static err_t limit_connect(int fd, int timeout_ms)
{
    const struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0
               ? OK
               : FAIL_ERRNO("cannot limit the time of a socket");
}

static err_t not_connected(int code)
{
    switch (code) {
    case EAGAIN: return FAIL(E_DEADLINE, "the server's queue is full: it accepts nobody");
    case EACCES: return FAIL_DETAIL(E_UNAVAILABLE, code, "the socket does not let this user in");
    default: return FAIL_DETAIL(E_UNAVAILABLE, code, "nobody answers on the socket");
    }
}

static err_t connect_to(const char *socket_name, int timeout_ms, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct span name = span_of_text(socket_name);
    if (name.len == 0 || name.len >= sizeof(address.sun_path)) {
        return FAIL(E_INVALID, "the socket's path is too long");
    }
    span_move(address.sun_path, name.ptr, name.len);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.len);
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0';
    } else {
        len++;
    }
    OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return FAIL_ERRNO("cannot make a socket");
    }
    TRY(limit_connect(fd, timeout_ms));
    if (connect(fd, (const struct sockaddr *)&address, len) != 0) {
        return not_connected(errno);
    }
    *ret_fd = own_fd_take(&fd);
    return OK;
}

err_t kms_client_open(const char *socket_name, int timeout_ms, struct kms_client **ret_client)
{
    CLEANUP(kms_client_close_p) struct kms_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return FAIL_ERRNO("out of memory for a client");
    }
    client->fd = -1;
    TRY(secret_new(SECRET_2KIB, KMS_CLIENT_BODY_MAX, &client->inbox));
    TRY(secret_new(SECRET_2KIB, KMS_CLIENT_BODY_MAX, &client->request));
    TRY(secret_new(SECRET_2KIB, KMS_CLIENT_BODY_MAX, &client->response));
    TRY(connect_to(socket_name, timeout_ms, &client->fd));
    TRY(new_session(client));
    *ret_client = TAKE(client);
    return OK;
}

void kms_client_close(struct kms_client *client)
{
    if (client == NULL) {
        return;
    }
    nghttp2_session_del(client->session);
    own_fd_close_p(&client->fd);
    secret_free(client->inbox);
    secret_free(client->request);
    secret_free(client->response);
    free(client);
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

static err_t submit(struct kms_client *client, enum codec_method method, int timeout_ms)
{
    char timeout[16];
    (void)snprintf(timeout, sizeof(timeout), "%dm", timeout_ms);
    const nghttp2_nv headers[] = {
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", codec_path(method)),
        header(":authority", "localhost"),
        header("content-type", "application/grpc"),
        header("user-agent", "p11-kmsctl/" P11KMS_VERSION),
        header("te", "trailers"),
        header("grpc-timeout", timeout),
    };
    const nghttp2_data_provider body = {.read_callback = on_read_body};
    client->stream = nghttp2_submit_request(client->session, NULL, headers,
                                            sizeof(headers) / sizeof(headers[0]), &body, NULL);
    return client->stream < 0 ? FAIL(E_UNAVAILABLE, "the connection takes no more calls") : OK;
}

static err_t write_body(struct kms_client *client, enum codec_method method,
                        const struct codec_request *request)
{
    uint8_t prefix[PREFIX_LEN] = {0};
    secret_set_len(client->request, 0);
    TRY(secret_append(client->request, span_of(prefix, sizeof(prefix))));
    TRY(codec_pack_request(method, request, client->request));
    struct writer w = writer_of(secret_room(client->request));
    writer_u8(&w, 0);
    writer_u32(&w, (uint32_t)(secret_view(client->request).len - PREFIX_LEN));
    return OK;
}

static err_t receive(struct kms_client *client)
{
    struct span_mut room = secret_room(client->inbox);
    ssize_t got = recv(client->fd, room.ptr, room.len, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        return FAIL(E_UNAVAILABLE, "the server closed the connection");
    }
    if (got < 0) {
        return wait_for(client, POLLIN);
    }
    secret_set_len(client->inbox, (size_t)got);
    ssize_t used = nghttp2_session_mem_recv(client->session, room.ptr, (size_t)got);
    secret_set_len(client->inbox, 0);
    return used < 0 ? FAIL(E_PROTOCOL, "the server does not speak HTTP/2") : OK;
}

static err_t exchange(struct kms_client *client)
{
    while (!client->closed) {
        if (nghttp2_session_send(client->session) != 0) {
            return FAIL(E_UNAVAILABLE, "cannot send to the server");
        }
        if (!client->closed) { /* sending our own reset closes the stream too */
            TRY(receive(client));
        }
    }
    return OK;
}

static err_t read_response(struct kms_client *client, enum codec_method method,
                           struct kms_answer *answer)
{
    if (client->http_status != 200 || client->grpc_status == NO_STATUS || client->overflow) {
        return FAIL(E_PROTOCOL, "the server's answer is not gRPC");
    }
    answer->grpc_status = client->grpc_status;
    span_move(answer->message, client->message, sizeof(answer->message));
    if (client->grpc_status != 0) {
        return OK;
    }
    struct cursor c = cursor_of(secret_view(client->response));
    bool plain = cursor_u8(&c) == 0;
    uint32_t len = cursor_u32(&c);
    if (c.bad || !plain || len != c.rest.len) {
        return FAIL(E_PROTOCOL, "the server's answer is not one gRPC message");
    }
    return codec_unpack_response(method, c.rest, &answer->response);
}

err_t kms_client_call(struct kms_client *client, enum codec_method method,
                      const struct codec_request *request, int timeout_ms,
                      struct kms_answer *ret_answer)
{
    struct kms_answer answer = {0};
    int64_t start_us = clock_mono_us();
    client->deadline_ms = clock_mono_ms() + timeout_ms;
    client->closed = false;
    client->overflow = false;
    client->http_status = NO_STATUS;
    client->grpc_status = NO_STATUS;
    client->message[0] = '\0';
    secret_set_len(client->response, 0);
    TRY(write_body(client, method, request));
    TRY(submit(client, method, timeout_ms));
    TRY(exchange(client));
    answer.took_us = clock_mono_us() - start_us;
    TRY(read_response(client, method, &answer));
    *ret_answer = answer;
    return OK;
}

void kms_answer_done(struct kms_answer *answer)
{
    codec_response_done(&answer->response);
    answer->response = (struct codec_response){0};
}
