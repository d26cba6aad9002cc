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

/* RFC 3629 section 4: the second bytes leave out overlong forms, surrogates, what is too high. */
static size_t character_length(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t first_low, first_high, second_low, second_high, length;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
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

size_t span_character(struct span bytes, uint32_t *ret_point)
{
    static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t length = bytes.len == 0 ? 0 : character_length(bytes.ptr, bytes.len);
    if (length == 0) {
        return 0;
    }
    uint32_t point = bytes.ptr[0] & first_bits[length];
    for (size_t i = 1; i < length; i++) {
        point = point << 6 | (bytes.ptr[i] & 0x3fu);
    }
    *ret_point = point;
    return length;
}

bool span_is_shown(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x0000, 0x001f}, {0x007f, 0x009f}, {0x061c, 0x061c},
        {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069},
    };
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        if (point >= hidden[i].first && point <= hidden[i].last) {
            return false;
        }
    }
    return true;
}

static struct span past(struct span bytes, size_t n)
{
    return span_part(bytes, n, bytes.len - n);
}

bool span_is_text(struct span bytes)
{
    uint32_t point = 0;
    for (size_t at = 0; at < bytes.len;) {
        size_t step = span_character(past(bytes, at), &point);
        if (step == 0 || point < 0x20 || point == 0x7f) {
            return false;
        }
        at += step;
    }
    return true;
}

size_t span_to_text(struct span bytes, char *ret_text, size_t size)
{
    size_t at = 0;
    size_t len = 0;
    while (at < bytes.len) {
        uint32_t point = 0;
        size_t step = span_character(past(bytes, at), &point);
        bool shown = step != 0 && span_is_shown(point);
        struct span seen = shown ? span_part(bytes, at, step) : span_of("?", 1);
        if (seen.len > size - 1 - len) {
            break;
        }
        span_move(ret_text + len, seen.ptr, seen.len);
        len += seen.len;
        at += step == 0 ? 1 : step;
    }
    ret_text[len] = '\0';
    return at;
}

void span_end_whole(char *text)
{
    size_t len = strlen(text);
    for (size_t n = 1; n < 4 && n <= len; n++) {
        uint32_t point;
        uint8_t byte = (uint8_t)text[len - n];
        if (byte >= 0xc0 && span_character(span_of(text + len - n, n), &point) == 0) {
            text[len - n] = '\0';
        }
        if (byte < 0x80 || byte >= 0xc0) {
            return;
        }
    }
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
