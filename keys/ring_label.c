#include "keys/ring_label.h"

#include <stdio.h>
#include <string.h>

#define PREFIX  "p11k:"
#define HEX_LEN 8u

static bool name_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool ring_name_ok(const char *ring)
{
    size_t len = strnlen(ring, RING_NAME_MAX + 1);
    if (len < 1 || len > RING_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!name_char((uint8_t)ring[i])) {
            return false;
        }
    }
    return true;
}

err_t ring_label_write(const char *ring, uint32_t not_before, uint32_t created,
                       char ret_label[RING_LABEL_MAX + 1])
{
    if (!ring_name_ok(ring)) {
        return FAIL(E_INVALID, "a ring name is 1 to 9 characters of a-z, 0-9 and -");
    }
    (void)snprintf(ret_label, RING_LABEL_MAX + 1, PREFIX "%s:%08x:%08x", ring, not_before, created);
    return OK;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ":" and 8 lower-case hex digits. */
static uint32_t read_time(struct cursor *c)
{
    if (cursor_u8(c) != ':') {
        c->bad = true;
    }
    struct span digits = cursor_bytes(c, HEX_LEN);
    uint32_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = hex_value(digits.ptr[i]);
        if (digit < 0) {
            c->bad = true;
            return 0;
        }
        value = value << 4 | (uint32_t)digit;
    }
    return value;
}

/* Up to the ":" that must follow: by it ring prod is told from ring prod-2. */
static bool read_name(struct cursor *c, char ret_name[RING_NAME_MAX + 1])
{
    size_t len = 0;
    while (len < RING_NAME_MAX && len < c->rest.len && name_char(c->rest.ptr[len])) {
        len++;
    }
    struct span name = cursor_bytes(c, len);
    if (len == 0 || c->rest.len == 0 || c->rest.ptr[0] != ':') {
        return false;
    }
    span_move(ret_name, name.ptr, name.len);
    return true;
}

bool ring_label_ours(struct span text)
{
    struct cursor c = cursor_of(text);
    return span_equal(cursor_bytes(&c, sizeof(PREFIX) - 1), span_of_text(PREFIX));
}

enum ring_label_form ring_label_read(struct span text, struct ring_label *ret_label)
{
    struct cursor c = cursor_of(text);
    bool ours = span_equal(cursor_bytes(&c, sizeof(PREFIX) - 1), span_of_text(PREFIX));
    *ret_label = (struct ring_label){0};
    if (!ours || !read_name(&c, ret_label->ring)) {
        return RING_LABEL_NONE;
    }
    uint32_t not_before = read_time(&c);
    uint32_t created = read_time(&c);
    if (!cursor_at_end(&c)) {
        return RING_LABEL_BROKEN;
    }
    ret_label->not_before = not_before;
    ret_label->created = created;
    return RING_LABEL_WHOLE;
}
