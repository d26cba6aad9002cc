#define _GNU_SOURCE
#include "ctl/time_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/span.h"

#define DIGITS_MAX 10u /* of Unix seconds: they end in 2106 */

/* n digits; *bad is set when one is not. */
static int64_t digits(struct cursor *c, size_t n, bool *bad)
{
    int64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t d = cursor_u8(c);
        *bad = *bad || d < '0' || d > '9';
        value = value * 10 + (d - '0');
    }
    return value;
}

static void expect(struct cursor *c, char letter, bool *bad)
{
    *bad = cursor_u8(c) != (uint8_t)letter || *bad;
}

static err_t parse_unix(struct span text, int64_t *ret_s)
{
    bool bad = text.len > DIGITS_MAX;
    struct cursor c = cursor_of(text);
    int64_t value = digits(&c, bad ? 0 : text.len, &bad);
    if (bad || value > UINT32_MAX) {
        return FAIL(E_INVALID, "not a time");
    }
    *ret_s = value;
    return OK;
}

static bool is_utc(struct span zone)
{
    return span_equal(zone, span_of_text("Z")) || span_equal(zone, span_of_text("z")) ||
           span_equal(zone, span_of_text("+00:00"));
}

static struct tm read_date(struct cursor *c, bool *bad)
{
    struct tm tm = {0};
    tm.tm_year = (int)digits(c, 4, bad) - 1900;
    expect(c, '-', bad);
    tm.tm_mon = (int)digits(c, 2, bad) - 1;
    expect(c, '-', bad);
    tm.tm_mday = (int)digits(c, 2, bad);
    uint8_t between = cursor_u8(c);
    *bad = *bad || (between != 'T' && between != 't' && between != ' ');
    tm.tm_hour = (int)digits(c, 2, bad);
    expect(c, ':', bad);
    tm.tm_min = (int)digits(c, 2, bad);
    expect(c, ':', bad);
    tm.tm_sec = (int)digits(c, 2, bad);
    return tm;
}

err_t time_text_parse(const char *text, int64_t *ret_s)
{
    struct span whole = span_of_text(text);
    if (whole.len > 0 && strspn(text, "0123456789") == whole.len) {
        return parse_unix(whole, ret_s);
    }
    bool bad = false;
    struct cursor c = cursor_of(whole);
    struct tm tm = read_date(&c, &bad);
    struct tm same = tm;
    if (bad || c.bad || !is_utc(c.rest)) {
        return FAIL(E_INVALID, "not a time");
    }
    /* timegm mends 31 February and the like; whatever it had to mend was no date. */
    int64_t value = timegm(&tm);
    if (value < 0 || value > UINT32_MAX || tm.tm_mday != same.tm_mday || tm.tm_mon != same.tm_mon ||
        tm.tm_hour != same.tm_hour || tm.tm_min != same.tm_min || tm.tm_sec != same.tm_sec) {
        return FAIL(E_INVALID, "not a time");
    }
    *ret_s = value;
    return OK;
}

void time_text_write(int64_t s, char ret_text[TIME_TEXT_LEN])
{
    struct tm tm;
    time_t t = (time_t)s;
    if (s == 0 || gmtime_r(&t, &tm) == NULL ||
        strftime(ret_text, TIME_TEXT_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        (void)snprintf(ret_text, TIME_TEXT_LEN, "-");
    }
}

void time_text_age(int64_t s, char ret_text[TIME_TEXT_LEN])
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    int64_t age = s < 0 ? -s : s;
    size_t i = 0;
    while (i < 3 && age < units[i].seconds) {
        i++;
    }
    (void)snprintf(ret_text, TIME_TEXT_LEN, "%s%lld%c", s < 0 ? "-" : "",
                   (long long)(age / units[i].seconds), units[i].unit);
}
