#include "pkcs11/pin_record_scan.h"

struct span scan_until(struct cursor *c, char end)
{
    size_t n = 0;
    while (n < c->rest.len && c->rest.ptr[n] != (uint8_t)end) {
        n++;
    }
    struct span word = cursor_bytes(c, n);
    (void)cursor_u8(c);
    return word;
}

bool scan_text(struct cursor *c, const char *text)
{
    struct span want = span_of_text(text);
    return span_equal(cursor_bytes(c, want.len), want) && !c->bad;
}

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool scan_hex(struct span text, uint8_t *to, size_t n)
{
    if (text.len != 2 * n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        int high = nibble(text.ptr[2 * i]);
        int low = nibble(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        to[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool scan_decimal(struct span text, int64_t max, int64_t *ret_value)
{
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || value > (max - 9) / 10) {
            return false;
        }
        value = 10 * value + (text.ptr[i] - '0');
    }
    *ret_value = value;
    return text.len > 0;
}

bool scan_hash(struct span text, struct pin_failed *failed)
{
    failed->has_hash = !span_equal(text, span_of_text("-"));
    return !failed->has_hash || scan_hex(text, failed->hash, PIN_RECORD_HASH);
}

bool scan_whose(struct cursor *c, const char *serial, enum scan_whose *ret_whose)
{
    uint8_t bytes[PIN_RECORD_SERIAL];
    struct span text = scan_until(c, ' ');
    size_t n = text.len / 2;
    if (span_equal(text, span_of_text("*"))) {
        *ret_whose = SCAN_ANY;
        return true;
    }
    if (n > PIN_RECORD_SERIAL || !scan_hex(text, bytes, n) || !span_is_text(span_of(bytes, n))) {
        return false;
    }
    bool own = span_equal(span_of(bytes, n), span_of_text(serial));
    *ret_whose = own ? SCAN_OWN : SCAN_OTHER;
    return true;
}

bool scan_flag(struct cursor *c, bool *flag)
{
    int64_t value = 0;
    bool good = scan_decimal(scan_until(c, ' '), 100, &value) && value <= 1;
    *flag = value == 1;
    return good;
}

bool scan_count(struct cursor *c, uint32_t *count)
{
    int64_t value = 0;
    bool good = scan_decimal(scan_until(c, ' '), SCAN_COUNT_MAX, &value);
    *count = (uint32_t)value;
    return good;
}
