/* Reads a span as a cursor would be used, in an order that the input chooses; checks UTF-8 too. */
#include "base/span.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static void step(struct cursor *c, uint8_t choice)
{
    uint8_t sink[16];
    switch (choice % 6) {
    case 0:
        (void)cursor_u8(c);
        break;
    case 1:
        (void)cursor_u16(c);
        break;
    case 2:
        (void)cursor_u32(c);
        break;
    case 3:
        (void)cursor_u64(c);
        break;
    case 4:
        cursor_copy(c, sink, choice % sizeof(sink));
        break;
    default:
        (void)span_is_text(cursor_bytes(c, choice));
        break;
    }
}

/*
 * Whatever comes: what is shown is text that holds nothing hidden, and showing it again changes
 * nothing.
 */
static void show(struct span bytes, size_t size)
{
    char text[64];
    char again[64];
    (void)span_to_text(bytes, text, size);
    struct span shown = span_of_text(text);
    size_t taken = span_to_text(shown, again, sizeof(again));
    if (!span_is_text(shown) || taken != shown.len || !span_equal(shown, span_of_text(again))) {
        abort();
    }
    if (shown.len > 0) {
        text[shown.len - 1] = '\0';
        span_end_whole(text);
        if (!span_is_text(span_of_text(text))) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(span_of(data, size));
    (void)span_is_text(span_of(data, size));
    show(span_of(data, size), 1 + size % 64);
    while (!c.bad && c.rest.len > 0) {
        size_t before = c.rest.len;
        step(&c, cursor_u8(&c));
        if (!c.bad && c.rest.len >= before) {
            abort(); /* a cursor that does not advance */
        }
    }
    return 0;
}
