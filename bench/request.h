/* request: the bytes of one call: HEADERS and DATA of HTTP/2, a gRPC message, protobuf fields. */
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#define FRAME       9u
#define END_STREAM  1u
#define END_HEADERS 4u
#define DATA        0u
#define HEADERS     1u

struct text {
    uint8_t bytes[2048];
    size_t len;
};

/* Ends the program when it does not fit. */
void text_add(struct text *text, const void *bytes, size_t n);
/* A frame's head, for stream 0. */
void text_add_frame(struct text *text, size_t length, unsigned type, unsigned flags);
void text_add_field(struct text *body, uint8_t tag, const void *bytes, size_t n);
void text_make_request(struct text *ret, const char *path, const struct text *body);

#endif
