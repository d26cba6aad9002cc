#include "base/span.h"

#include <string.h>

struct span span_of(const void *ptr, size_t len)
{
    return (struct span){.ptr = ptr, .len = len};
}

struct span span_of_text(const char *text)
{
    return span_of(text, strlen(text));
}

struct span_mut span_mut_of(void *ptr, size_t len)
{
    return (struct span_mut){.ptr = ptr, .len = len};
}

struct span span_const(struct span_mut room)
{
    return span_of(room.ptr, room.len);
}

struct span span_part(struct span whole, size_t from, size_t len)
{
    if (from > whole.len || len > whole.len - from) {
        return span_of(NULL, 0);
    }
    return span_of(whole.ptr + from, len);
}

bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool span_copy(struct span_mut to, struct span from)
{
    if (from.len > to.len) {
        return false;
    }
    span_move(to.ptr, from.ptr, from.len);
    return true;
}

void span_move(void *to, const void *from, size_t n)
{
    if (n != 0) {
        memcpy(to, from, n);
    }
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629 section 4), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t first_low, first_high, second_low, second_high, length;
    } forms[] = {
        {0x20, 0x7e, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (p[0] < forms[i].first_low || p[0] > forms[i].first_high) {
            continue;
        }
        size_t length = forms[i].length;
        if (length > left) {
            return 0;
        }
        if (length > 1 && (p[1] < forms[i].second_low || p[1] > forms[i].second_high)) {
            return 0;
        }
        for (size_t k = 2; k < length; k++) {
            if (p[k] < 0x80 || p[k] > 0xbf) {
                return 0;
            }
        }
        return length;
    }
    return 0;
}

bool span_is_text(struct span bytes)
{
    size_t at = 0;
    while (at < bytes.len) {
        size_t step = utf8_sequence(bytes.ptr + at, bytes.len - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

void span_to_ascii(struct span bytes, char *ret_text, size_t size)
{
    size_t len = bytes.len < size - 1 ? bytes.len : size - 1;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = bytes.ptr[i];
        ret_text[i] = (char)(byte >= 0x20 && byte <= 0x7e ? byte : (uint8_t)'?');
    }
    ret_text[len] = '\0';
}

struct cursor cursor_of(struct span bytes)
{
    return (struct cursor){.rest = bytes, .bad = false};
}

struct span cursor_bytes(struct cursor *c, size_t n)
{
    if (c->bad || n > c->rest.len) {
        c->bad = true;
        return span_of(NULL, 0);
    }
    struct span taken = span_of(c->rest.ptr, n);
    c->rest = span_of(c->rest.ptr + n, c->rest.len - n);
    return taken;
}

static uint64_t cursor_integer(struct cursor *c, size_t n)
{
    struct span bytes = cursor_bytes(c, n);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        value = value << 8 | bytes.ptr[i];
    }
    return value;
}

uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)cursor_integer(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
    return (uint16_t)cursor_integer(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
    return (uint32_t)cursor_integer(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
    return cursor_integer(c, 8);
}

void cursor_copy(struct cursor *c, void *to, size_t n)
{
    struct span bytes = cursor_bytes(c, n);
    if (bytes.len == n) {
        span_move(to, bytes.ptr, n);
    } else {
        memset(to, 0, n);
    }
}

bool cursor_at_end(const struct cursor *c)
{
    return !c->bad && c->rest.len == 0;
}

struct writer writer_of(struct span_mut room)
{
    return (struct writer){.room = room, .len = 0, .bad = false};
}

struct span_mut writer_room(struct writer *w, size_t n)
{
    if (w->bad || n > w->room.len - w->len) {
        w->bad = true;
        return span_mut_of(NULL, 0);
    }
    struct span_mut room = span_mut_of(w->room.ptr + w->len, n);
    w->len += n;
    return room;
}

void writer_bytes(struct writer *w, struct span bytes)
{
    struct span_mut room = writer_room(w, bytes.len);
    span_move(room.ptr, bytes.ptr, room.len);
}

static void writer_integer(struct writer *w, uint64_t value, size_t n)
{
    struct span_mut room = writer_room(w, n);
    for (size_t i = 0; i < room.len; i++) {
        room.ptr[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
    }
}

void writer_u8(struct writer *w, uint8_t value)
{
    writer_integer(w, value, 1);
}

void writer_u16(struct writer *w, uint16_t value)
{
    writer_integer(w, value, 2);
}

void writer_u32(struct writer *w, uint32_t value)
{
    writer_integer(w, value, 4);
}

void writer_u64(struct writer *w, uint64_t value)
{
    writer_integer(w, value, 8);
}

struct span writer_done(const struct writer *w)
{
    return span_of(w->room.ptr, w->bad ? 0 : w->len);
}
