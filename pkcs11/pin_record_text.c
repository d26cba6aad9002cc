/* The text form of the PIN guard's record: 2 is written, 1 is read, too. */
#include <inttypes.h>
#include <stdio.h>

#include "pkcs11/pin_record_old.h"
#include "pkcs11/pin_record_scan.h"

#define FIRST_LINE     "p11-kms pin 2\n"
#define FIRST_LINE_OLD "p11-kms pin 1\n"

/* ---- reading ---- */

/* To the end of the line. */
static bool parse_source(struct cursor *c, struct pin_source *source)
{
    struct span text = scan_until(c, '\n');
    if (span_equal(text, span_of_text("-"))) {
        *source = (struct pin_source){0};
        return true;
    }
    struct cursor inner = cursor_of(text);
    source->known = scan_decimal(scan_until(&inner, '.'), INT64_MAX, &source->inode) &&
                    scan_decimal(scan_until(&inner, '.'), INT64_MAX, &source->changed_s) &&
                    !inner.bad &&
                    scan_decimal(inner.rest, SCAN_COUNT_MAX * 1000, &source->changed_ns);
    return source->known;
}

static bool parse_token(struct cursor *c, struct pin_token *token)
{
    return scan_flag(c, &token->reports) && scan_flag(c, &token->known) &&
           scan_flag(c, &token->any_length) && scan_flag(c, &token->pending) &&
           scan_count(c, &token->cut) && scan_count(c, &token->errors) &&
           scan_decimal(scan_until(c, ' '), INT64_MAX, &token->last_s) &&
           parse_source(c, &token->good);
}

static bool parse_failed(struct cursor *c, struct pin_failed *failed)
{
    return scan_hash(scan_until(c, ' '), failed) && parse_source(c, &failed->source);
}

static bool take_failed(struct cursor *c, enum scan_whose whose, struct pin_record *record)
{
    struct pin_failed failed = {.has_hash = false};
    if (whose == SCAN_ANY || !parse_failed(c, &failed)) {
        return false;
    }
    if (whose == SCAN_OWN) {
        if (record->failed_n == PIN_RECORD_FAILED) {
            return false;
        }
        record->failed[record->failed_n++] = failed;
    }
    return true;
}

static bool parse_line(struct cursor *c, struct scan_lines *lines)
{
    struct span kind = scan_until(c, '=');
    enum scan_whose whose = SCAN_OTHER;
    if (!scan_whose(c, lines->serial, &whose)) {
        return false;
    }
    if (span_equal(kind, span_of_text("failed"))) {
        return take_failed(c, whose, lines->record);
    }
    struct pin_token other;
    struct pin_token *const tokens[] = {
        [SCAN_OWN] = &lines->record->token, [SCAN_ANY] = &lines->any, [SCAN_OTHER] = &other};
    lines->own = lines->own || whose == SCAN_OWN;
    return span_equal(kind, span_of_text("token")) && parse_token(c, tokens[whose]);
}

static bool parse_lines(struct cursor *c, struct scan_lines *lines)
{
    while (c->rest.len > 0) {
        if (!parse_line(c, lines)) {
            return false;
        }
    }
    return true;
}

static bool parse(struct span bytes, struct scan_lines *lines)
{
    struct span first = span_of_text(FIRST_LINE);
    bool old = span_equal(span_part(bytes, 0, first.len), span_of_text(FIRST_LINE_OLD));
    struct cursor c = cursor_of(bytes);
    if (!scan_text(&c, old ? FIRST_LINE_OLD : FIRST_LINE) || !scan_text(&c, "salt=") ||
        !scan_hex(scan_until(&c, '\n'), lines->record->salt, PIN_RECORD_SALT)) {
        return false;
    }
    lines->record->has_salt = true;
    return (old ? pin_record_parse_old : parse_lines)(&c, lines) && !c.bad;
}

void pin_record_parse(struct span bytes, const char *serial, struct pin_record *ret_record)
{
    struct scan_lines lines = {.serial = serial, .record = ret_record};
    *ret_record = (struct pin_record){0};
    if (bytes.len == 0) {
        return;
    }
    if (!parse(bytes, &lines)) {
        *ret_record = (struct pin_record){.token = {.cut = 1}};
    } else if (!lines.own) {
        ret_record->token = lines.any;
    }
}

/* ---- writing ---- */

static void put_hex(struct writer *w, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        writer_u8(w, (uint8_t)digits[bytes[i] >> 4]);
        writer_u8(w, (uint8_t)digits[bytes[i] & 15]);
    }
}

static void put_text(struct writer *w, const char *text)
{
    writer_bytes(w, span_of_text(text));
}

static void put_source(struct writer *w, const struct pin_source *source)
{
    char text[80] = " -\n";
    if (source->known) {
        (void)snprintf(text, sizeof(text), " %" PRId64 ".%" PRId64 ".%" PRId64 "\n", source->inode,
                       source->changed_s, source->changed_ns);
    }
    put_text(w, text);
}

static uint32_t at_most(uint32_t value, uint32_t max)
{
    return value < max ? value : max;
}

static void put_token(struct writer *w, struct span serial, const struct pin_token *token)
{
    char rest[80];
    put_text(w, "token=");
    put_hex(w, serial.ptr, serial.len);
    (void)snprintf(rest, sizeof(rest), " %d %d %d %d %" PRIu32 " %" PRIu32 " %" PRId64,
                   token->reports, token->known, token->any_length, token->pending,
                   at_most(token->cut, SCAN_COUNT_MAX / 10),
                   at_most(token->errors, SCAN_COUNT_MAX / 10), token->last_s);
    put_text(w, rest);
    put_source(w, &token->good);
}

static void put_failed(struct writer *w, struct span serial, const struct pin_failed *failed)
{
    put_text(w, "failed=");
    put_hex(w, serial.ptr, serial.len);
    put_text(w, " ");
    if (failed->has_hash) {
        put_hex(w, failed->hash, PIN_RECORD_HASH);
    } else {
        put_text(w, "-");
    }
    put_source(w, &failed->source);
}

err_t pin_record_write(const struct pin_record *record, const char *serial, struct span_mut room,
                       size_t *ret_len)
{
    struct writer w = writer_of(room);
    put_text(&w, FIRST_LINE "salt=");
    put_hex(&w, record->salt, PIN_RECORD_SALT);
    writer_u8(&w, '\n');
    put_token(&w, span_of_text(serial), &record->token);
    for (size_t i = 0; i < record->failed_n; i++) {
        put_failed(&w, span_of_text(serial), &record->failed[i]);
    }
    if (w.bad) {
        return FAIL(E_LIMIT, "the PIN record does not fit");
    }
    *ret_len = w.len;
    return OK;
}
