#include "bench/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

void text_add(struct text *text, const void *bytes, size_t n)
{
    if (text->len + n > sizeof(text->bytes)) {
        fprintf(stderr, "load: a request is too long\n");
        exit(1);
    }
    span_move(text->bytes + text->len, bytes, n);
    text->len += n;
}

void text_add_frame(struct text *text, size_t length, unsigned type, unsigned flags)
{
    const uint8_t head[FRAME] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
                                 (uint8_t)type, (uint8_t)flags};
    text_add(text, head, sizeof(head));
}

/* HPACK: literal without indexing, new name, no Huffman. */
static void add_header(struct text *text, const char *name, const char *value)
{
    const uint8_t name_len[2] = {0, (uint8_t)strlen(name)};
    const uint8_t value_len[1] = {(uint8_t)strlen(value)};
    text_add(text, name_len, sizeof(name_len));
    text_add(text, name, strlen(name));
    text_add(text, value_len, sizeof(value_len));
    text_add(text, value, strlen(value));
}

void text_make_request(struct text *ret, const char *path, const struct text *body)
{
    struct text block = {.len = 0};
    add_header(&block, ":method", "POST");
    add_header(&block, ":scheme", "http");
    add_header(&block, ":path", path);
    add_header(&block, ":authority", "localhost");
    add_header(&block, "content-type", "application/grpc");
    add_header(&block, "user-agent", "grpc-go/1.60.1");
    add_header(&block, "te", "trailers");
    add_header(&block, "grpc-timeout", "2999210u");
    ret->len = 0;
    text_add_frame(ret, block.len, HEADERS, END_HEADERS);
    text_add(ret, block.bytes, block.len);
    const uint8_t prefix[5] = {0, 0, 0, (uint8_t)(body->len >> 8), (uint8_t)body->len};
    text_add_frame(ret, body->len + sizeof(prefix), DATA, END_STREAM);
    text_add(ret, prefix, sizeof(prefix));
    text_add(ret, body->bytes, body->len);
}

void text_add_field(struct text *body, uint8_t tag, const void *bytes, size_t n)
{
    const uint8_t head[3] = {(uint8_t)(tag << 3 | 2), (uint8_t)(n & 127u) | (n > 127 ? 128u : 0),
                             (uint8_t)(n >> 7)};
    text_add(body, head, n > 127 ? 3 : 2);
    text_add(body, bytes, n);
}
