#include "tests/kit/wire.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#define FRAME_HEAD 9u

static void check(bool promise)
{
    if (!promise) {
        abort();
    }
}

struct wire_request wire_request_to(const char *path)
{
    return (struct wire_request){.fields = {{":method", "POST"},
                                            {":scheme", "http"},
                                            {":path", path},
                                            {":authority", "localhost"},
                                            {"content-type", "application/grpc"},
                                            {"user-agent", "grpc-go/1.72.2"},
                                            {"te", "trailers"},
                                            {"grpc-accept-encoding", "gzip"}}};
}

static size_t field_count(const struct wire_request *request)
{
    size_t n = 0;
    while (n < WIRE_FIELDS_MAX && request->fields[n].name != NULL) {
        n++;
    }
    return n;
}

void wire_request_set(struct wire_request *request, const char *name, const char *value)
{
    size_t n = field_count(request);
    size_t at = 0;
    while (at < n && strcmp(request->fields[at].name, name) != 0) {
        at++;
    }
    check(at < WIRE_FIELDS_MAX);
    request->fields[at] = (struct wire_field){name, value};
    if (value == NULL) {
        memmove(&request->fields[at], &request->fields[at + 1],
                (WIRE_FIELDS_MAX - at - 1) * sizeof(request->fields[0]));
        request->fields[WIRE_FIELDS_MAX - 1] = (struct wire_field){0};
    }
}

struct span wire_bytes(const struct wire *w)
{
    return span_of(w->bytes, w->len);
}

void wire_raw(struct wire *w, struct span bytes)
{
    check(bytes.len <= sizeof(w->bytes) - w->len);
    span_move(w->bytes + w->len, bytes.ptr, bytes.len);
    w->len += bytes.len;
}

static void put_u8(struct wire *w, uint8_t value)
{
    wire_raw(w, span_of(&value, 1));
}

static void put_u32(struct wire *w, uint32_t value)
{
    const uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                             (uint8_t)value};
    wire_raw(w, span_of(bytes, sizeof(bytes)));
}

static void put_frame_head(struct wire *w, enum wire_type type, unsigned flags, int32_t stream,
                           size_t len)
{
    put_u8(w, (uint8_t)(len >> 16));
    put_u8(w, (uint8_t)(len >> 8));
    put_u8(w, (uint8_t)len);
    put_u8(w, (uint8_t)type);
    put_u8(w, (uint8_t)flags);
    put_u32(w, (uint32_t)stream);
}

void wire_frame(struct wire *w, enum wire_type type, unsigned flags, int32_t stream,
                struct span payload)
{
    put_frame_head(w, type, flags, stream, payload.len);
    wire_raw(w, payload);
}

void wire_open(struct wire *w)
{
    wire_raw(w, span_of_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    wire_frame(w, WIRE_SETTINGS, 0, 0, span_of(NULL, 0));
}

void wire_settings(struct wire *w, uint16_t id, uint32_t value)
{
    put_frame_head(w, WIRE_SETTINGS, 0, 0, 6);
    put_u8(w, (uint8_t)(id >> 8));
    put_u8(w, (uint8_t)id);
    put_u32(w, value);
}

void wire_settings_ack(struct wire *w)
{
    wire_frame(w, WIRE_SETTINGS, WIRE_ACK, 0, span_of(NULL, 0));
}

void wire_ping(struct wire *w, const char *eight)
{
    wire_frame(w, WIRE_PING, 0, 0, span_of(eight, 8));
}

void wire_window(struct wire *w, int32_t stream, uint32_t by)
{
    put_frame_head(w, WIRE_WINDOW_UPDATE, 0, stream, 4);
    put_u32(w, by);
}

void wire_reset(struct wire *w, int32_t stream, uint32_t code)
{
    put_frame_head(w, WIRE_RST_STREAM, 0, stream, 4);
    put_u32(w, code);
}

/* RFC 7541 section 5.1 with a prefix of 7 bits. */
static void put_length(struct wire *w, size_t len)
{
    if (len < 127) {
        put_u8(w, (uint8_t)len);
        return;
    }
    put_u8(w, 127);
    size_t rest = len - 127;
    while (rest >= 128) {
        put_u8(w, (uint8_t)(128 + rest % 128));
        rest /= 128;
    }
    put_u8(w, (uint8_t)rest);
}

void wire_block(struct wire *w, const struct wire_request *request)
{
    for (size_t i = 0; i < field_count(request); i++) {
        struct span name = span_of_text(request->fields[i].name);
        struct span value = span_of_text(request->fields[i].value);
        put_u8(w, 0x10); /* literal, never indexed, new name */
        put_length(w, name.len);
        wire_raw(w, name);
        put_length(w, value.len);
        wire_raw(w, value);
    }
}

void wire_headers(struct wire *w, int32_t stream, unsigned flags,
                  const struct wire_request *request)
{
    size_t head = w->len;
    put_frame_head(w, WIRE_HEADERS, flags, stream, 0);
    wire_block(w, request);
    size_t len = w->len - head - FRAME_HEAD;
    w->bytes[head] = (uint8_t)(len >> 16);
    w->bytes[head + 1] = (uint8_t)(len >> 8);
    w->bytes[head + 2] = (uint8_t)len;
}

void wire_message(struct wire *w, int32_t stream, unsigned flags, struct span message)
{
    put_frame_head(w, WIRE_DATA, flags, stream, 5 + message.len);
    put_u8(w, 0);
    put_u32(w, (uint32_t)message.len);
    wire_raw(w, message);
}

void wire_call(struct wire *w, int32_t stream, const char *path, struct span message)
{
    struct wire_request request = wire_request_to(path);
    wire_headers(w, stream, WIRE_END_HEADERS, &request);
    wire_message(w, stream, WIRE_END_STREAM, message);
}

struct wire_peer *wire_peer_new(void)
{
    struct wire_peer *peer = calloc(1, sizeof(*peer));
    check(peer != NULL);
    peer->answers = calloc(WIRE_ANSWERS, sizeof(*peer->answers));
    check(peer->answers != NULL);
    nghttp2_hd_inflater *inflater = NULL;
    check(nghttp2_hd_inflate_new(&inflater) == 0);
    peer->inflater = inflater;
    return peer;
}

void wire_peer_free(struct wire_peer *peer)
{
    if (peer != NULL) {
        nghttp2_hd_inflate_del(peer->inflater);
        free(peer->answers);
        free(peer);
    }
}

static struct wire_answer *answer_of(const struct wire_peer *peer, int32_t stream)
{
    struct wire_answer *answer = &peer->answers[((uint32_t)stream / 2) % WIRE_ANSWERS];
    if (answer->stream != stream) {
        *answer = (struct wire_answer){.stream = stream};
    }
    return answer;
}

const struct wire_answer *wire_peer_answer(const struct wire_peer *peer, int32_t stream)
{
    return answer_of(peer, stream);
}

static void keep(char *to, size_t room, const nghttp2_nv *nv)
{
    check(nv->valuelen < room && to[0] == '\0'); /* no header comes twice */
    span_move(to, nv->value, nv->valuelen);
    to[nv->valuelen] = '\0';
}

static void on_field(struct wire_answer *answer, const nghttp2_nv *nv)
{
    const struct {
        const char *name;
        char *to;
        size_t room;
    } known[] = {
        {":status", answer->http_status, sizeof(answer->http_status)},
        {"content-type", answer->content_type, sizeof(answer->content_type)},
        {"grpc-status", answer->grpc_status, sizeof(answer->grpc_status)},
        {"grpc-message", answer->message, sizeof(answer->message)},
        {"grpc-accept-encoding", answer->accept_encoding, sizeof(answer->accept_encoding)},
        {"grpc-encoding", answer->encoding, sizeof(answer->encoding)},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_equal(span_of(nv->name, nv->namelen), span_of_text(known[i].name))) {
            keep(known[i].to, known[i].room, nv);
        }
    }
}

static void on_block(struct wire_peer *peer, struct wire_answer *answer, struct span block)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(peer->inflater, &nv, &flags, block.ptr, block.len, 1);
        check(n >= 0);
        block = span_part(block, (size_t)n, block.len - (size_t)n);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            on_field(answer, &nv);
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            check(nghttp2_hd_inflate_end_headers(peer->inflater) == 0 && block.len == 0);
            return;
        }
    }
}

static void on_headers(struct wire_peer *peer, uint8_t flags, int32_t stream, struct span payload)
{
    struct wire_answer *answer = answer_of(peer, stream);
    check((flags & WIRE_END_HEADERS) != 0 && !answer->ended);
    answer->header_frames++;
    answer->ended = (flags & WIRE_END_STREAM) != 0;
    on_block(peer, answer, payload);
}

static void on_data(struct wire_peer *peer, uint8_t flags, int32_t stream, struct span payload)
{
    struct wire_answer *answer = answer_of(peer, stream);
    check(!answer->ended && answer->header_frames == 1);
    answer->data_frames++;
    if (answer->body_len + payload.len <= sizeof(answer->body)) {
        span_move(answer->body + answer->body_len, payload.ptr, payload.len);
    }
    answer->body_len += payload.len;
    answer->ended_on_data = (flags & WIRE_END_STREAM) != 0;
    answer->ended = answer->ended_on_data;
}

static void on_settings(struct wire_peer *peer, uint8_t flags, struct span payload)
{
    if ((flags & WIRE_ACK) != 0) {
        peer->settings_acks++;
        return;
    }
    peer->settings++;
    peer->settings_first = peer->settings_first || peer->frames == 0;
    struct cursor c = cursor_of(payload);
    while (c.rest.len > 0) {
        uint16_t id = cursor_u16(&c);
        uint32_t value = cursor_u32(&c);
        check(!c.bad);
        peer->max_streams =
            id == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS ? value : peer->max_streams;
    }
}

static void on_frame(struct wire_peer *peer, uint8_t type, uint8_t flags, int32_t stream,
                     struct span payload)
{
    struct cursor c = cursor_of(payload);
    switch (type) {
    case WIRE_DATA:
        on_data(peer, flags, stream, payload);
        break;
    case WIRE_HEADERS:
        on_headers(peer, flags, stream, payload);
        break;
    case WIRE_RST_STREAM:
        answer_of(peer, stream)->reset = true;
        answer_of(peer, stream)->reset_code = cursor_u32(&c);
        break;
    case WIRE_SETTINGS:
        on_settings(peer, flags, payload);
        break;
    case WIRE_PING:
        peer->ping_acks += (flags & WIRE_ACK) != 0;
        peer->pings += (flags & WIRE_ACK) == 0;
        cursor_copy(&c, peer->ping, sizeof(peer->ping));
        break;
    case WIRE_GOAWAY:
        peer->goaways++;
        peer->goaway_last = (int32_t)cursor_u32(&c);
        peer->goaway_code = cursor_u32(&c);
        break;
    default:
        check(type == WIRE_WINDOW_UPDATE);
        break;
    }
    check(!c.bad);
    peer->frames++;
}

static size_t read_frame(struct wire_peer *peer, struct span bytes)
{
    struct cursor c = cursor_of(bytes);
    size_t len = (size_t)cursor_u8(&c) << 16;
    len |= cursor_u16(&c);
    uint8_t type = cursor_u8(&c);
    uint8_t flags = cursor_u8(&c);
    int32_t stream = (int32_t)cursor_u32(&c);
    struct span payload = cursor_bytes(&c, len);
    if (c.bad) {
        return 0;
    }
    on_frame(peer, type, flags, stream, payload);
    return FRAME_HEAD + len;
}

void wire_peer_read(struct wire_peer *peer, struct span bytes)
{
    while (bytes.len > 0) {
        size_t room = sizeof(peer->pending) - peer->left;
        size_t n = bytes.len < room ? bytes.len : room;
        check(n > 0);
        span_move(peer->pending + peer->left, bytes.ptr, n);
        peer->left += n;
        bytes = span_part(bytes, n, bytes.len - n);
        size_t used = 0;
        size_t step = 0;
        while ((step = read_frame(peer, span_of(peer->pending + used, peer->left - used))) > 0) {
            used += step;
        }
        memmove(peer->pending, peer->pending + used, peer->left - used);
        peer->left -= used;
    }
}
