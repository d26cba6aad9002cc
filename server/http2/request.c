#include "server/http2/request.h"

#define LENGTH_DIGITS_MAX 18u /* fits uint64_t */
#define FIELD_OVERHEAD    32u /* RFC 9113 section 6.5.2 */

enum { METHOD = 1, SCHEME = 2, PATH = 4, AUTHORITY = 8 };
#define REQUIRED ((unsigned)(METHOD | SCHEME | PATH))

static bool is(struct span name, const char *text)
{
    return span_equal(name, span_of_text(text));
}

static unsigned pseudo_bit(struct span name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {
        {":method", METHOD}, {":scheme", SCHEME}, {":path", PATH}, {":authority", AUTHORITY}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (is(name, known[i].name)) {
            return known[i].bit;
        }
    }
    return 0;
}

static void on_pseudo(struct h2_request *request, struct span name)
{
    unsigned bit = pseudo_bit(name);
    if (bit == 0 || (request->pseudo & bit) != 0 || request->regular_seen ||
        request->headers_ended) {
        request->malformed = true;
    }
    request->pseudo |= bit;
}

/* The characters of a token (RFC 9110 section 5.6.2) without upper case. */
static bool is_name_byte(uint8_t byte)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')) {
        return true;
    }
    for (size_t i = 0; i + 1 < sizeof(others); i++) {
        if (byte == (uint8_t)others[i]) {
            return true;
        }
    }
    return false;
}

static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_name_byte(name.ptr[i])) {
            return false;
        }
    }
    return name.len > 0;
}

/* RFC 9113 section 8.2.1: no NUL, CR or LF anywhere. */
static bool is_value(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == 0 || value.ptr[i] == '\r' || value.ptr[i] == '\n') {
            return false;
        }
    }
    return true;
}

/* RFC 9113 section 8.2.2: fields that speak of an HTTP/1 connection. */
static bool is_of_connection(struct span name, struct span value)
{
    return is(name, "connection") || is(name, "keep-alive") || is(name, "proxy-connection") ||
           is(name, "transfer-encoding") || is(name, "upgrade") ||
           (is(name, "te") && !is(value, "trailers"));
}

static void on_content_length(struct h2_request *request, struct span value)
{
    bool bad = value.len == 0 || value.len > LENGTH_DIGITS_MAX || request->has_length;
    uint64_t length = 0;
    for (size_t i = 0; i < value.len && !bad; i++) {
        bad = value.ptr[i] < '0' || value.ptr[i] > '9';
        length = length * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    request->has_length = true;
    request->content_length = length;
    request->malformed = request->malformed || bad;
}

static void on_regular(struct h2_request *request, struct span name, struct span value)
{
    request->regular_seen = true;
    if (!is_name(name) || is_of_connection(name, value)) {
        request->malformed = true;
    }
    if (is(name, "content-length") && !request->headers_ended) {
        on_content_length(request, value);
    }
}

void h2_request_header(struct h2_request *request, struct span name, struct span value)
{
    request->list_size += name.len + value.len + FIELD_OVERHEAD;
    if (!is_value(value)) {
        request->malformed = true;
    }
    if (name.len > 0 && name.ptr[0] == ':') {
        on_pseudo(request, name);
    } else {
        on_regular(request, name, value);
    }
}

void h2_request_headers_end(struct h2_request *request, bool ended)
{
    if (request->headers_ended && !ended) {
        request->malformed = true; /* trailers that do not end the stream */
    }
    if ((request->pseudo & REQUIRED) != REQUIRED) {
        request->malformed = true;
    }
    request->headers_ended = true;
}

void h2_request_data(struct h2_request *request, size_t len)
{
    request->body_len += len;
    if (request->has_length && request->body_len > request->content_length) {
        request->malformed = true;
    }
}

void h2_request_end(struct h2_request *request)
{
    if (request->has_length && request->body_len != request->content_length) {
        request->malformed = true;
    }
}
