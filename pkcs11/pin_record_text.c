/* The text forms of the PIN guard's record: 2 is written, 1 is read. */
#include <inttypes.h>
#include <stdio.h>

#include "pkcs11/pin_record.h"

#define FIRST_LINE     "p11-kms pin 2\n"
#define FIRST_LINE_OLD "p11-kms pin 1\n"
#define COUNT_MAX      1000000

static void corrupt(struct pin_record *record)
{
    *record = (struct pin_record){.tokens_n = 1};
    record->tokens[0] = (struct pin_token){.serial = "*", .cut = 1};
}

static bool expect(struct cursor *c, const char *text)
{
    struct span want = span_of_text(text);
    return span_equal(cursor_bytes(c, want.len), want) && !c->bad;
}

/* Up to `end`, which is passed; empty and `bad` when it does not come. */
static struct span until(struct cursor *c, char end)
{
    size_t n = 0;
    while (n < c->rest.len && c->rest.ptr[n] != (uint8_t)end) {
        n++;
    }
    struct span word = cursor_bytes(c, n);
    (void)cursor_u8(c);
    return word;
}

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(struct span text, uint8_t *to, size_t n)
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

static bool from_decimal(struct span text, int64_t max, int64_t *ret_value)
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

static bool parse_serial(struct span text, char to[PIN_RECORD_SERIAL + 1])
{
    uint8_t serial[PIN_RECORD_SERIAL];
    size_t n = text.len / 2;
    if (n > PIN_RECORD_SERIAL || !from_hex(text, serial, n)) {
        return false;
    }
    span_move(to, serial, n);
    to[n] = '\0';
    return span_is_text(span_of(serial, n));
}

static bool parse_serial_or_any(struct span text, char to[PIN_RECORD_SERIAL + 1])
{
    if (!span_equal(text, span_of_text("*"))) {
        return parse_serial(text, to);
    }
    to[0] = '*';
    to[1] = '\0';
    return true;
}

static bool parse_flag(struct cursor *c, bool *flag)
{
    int64_t value = 0;
    bool good = from_decimal(until(c, ' '), 100, &value) && value <= 1;
    *flag = value == 1;
    return good;
}

static bool parse_count(struct cursor *c, uint32_t *count)
{
    int64_t value = 0;
    bool good = from_decimal(until(c, ' '), COUNT_MAX, &value);
    *count = (uint32_t)value;
    return good;
}

/* To the end of the line. */
static bool parse_source(struct cursor *c, struct pin_source *source)
{
    struct span text = until(c, '\n');
    if (span_equal(text, span_of_text("-"))) {
        *source = (struct pin_source){0};
        return true;
    }
    struct cursor inner = cursor_of(text);
    source->known = from_decimal(until(&inner, '.'), INT64_MAX, &source->inode) &&
                    from_decimal(until(&inner, '.'), INT64_MAX, &source->changed_s) && !inner.bad &&
                    from_decimal(inner.rest, COUNT_MAX * 1000, &source->changed_ns);
    return source->known;
}

static bool parse_token(struct cursor *c, struct pin_record *record)
{
    if (record->tokens_n == PIN_RECORD_TOKENS) {
        return false;
    }
    struct pin_token *token = &record->tokens[record->tokens_n++];
    return parse_serial_or_any(until(c, ' '), token->serial) && parse_flag(c, &token->reports) &&
           parse_flag(c, &token->known) && parse_flag(c, &token->any_length) &&
           parse_flag(c, &token->pending) && parse_count(c, &token->cut) &&
           parse_count(c, &token->errors) &&
           from_decimal(until(c, ' '), INT64_MAX, &token->last_s) && parse_source(c, &token->good);
}

static bool parse_hash(struct span text, struct pin_failed *failed)
{
    failed->has_hash = !span_equal(text, span_of_text("-"));
    return !failed->has_hash || from_hex(text, failed->hash, PIN_RECORD_HASH);
}

static bool parse_failed(struct cursor *c, struct pin_record *record)
{
    if (record->failed_n == PIN_RECORD_FAILED) {
        return false;
    }
    struct pin_failed *failed = &record->failed[record->failed_n++];
    return parse_serial(until(c, ' '), failed->serial) && parse_hash(until(c, ' '), failed) &&
           parse_source(c, &failed->source);
}

static bool parse_line(struct cursor *c, struct pin_record *record)
{
    struct span kind = until(c, '=');
    if (span_equal(kind, span_of_text("token"))) {
        return parse_token(c, record);
    }
    return span_equal(kind, span_of_text("failed")) && parse_failed(c, record);
}

/* ---- form 1: "entry=<serial> <state> <hash or -> <once good> <restores> <last restore>" ---- */

struct old_entry {
    struct span state;
    struct pin_failed failed; /* serial and hash */
    bool once_good;
    uint32_t restores;
    int64_t restored_s;
};

static bool parse_old_entry(struct cursor *c, struct old_entry *entry)
{
    struct span word = until(c, '=');
    return span_equal(word, span_of_text("entry")) &&
           parse_serial_or_any(until(c, ' '), entry->failed.serial) &&
           (entry->state = until(c, ' ')).len > 0 && parse_hash(until(c, ' '), &entry->failed) &&
           parse_flag(c, &entry->once_good) && parse_count(c, &entry->restores) &&
           from_decimal(until(c, '\n'), INT64_MAX, &entry->restored_s);
}

static struct pin_token *old_token(struct pin_record *record, const char *serial)
{
    size_t i = 0;
    struct span wanted = span_of_text(serial);
    while (i < record->tokens_n && !span_equal(span_of_text(record->tokens[i].serial), wanted)) {
        i++;
    }
    if (i == record->tokens_n && i < PIN_RECORD_TOKENS) {
        span_move(record->tokens[i].serial, serial, wanted.len + 1);
        record->tokens_n++;
    }
    return i < record->tokens_n ? &record->tokens[i] : NULL;
}

/* Of all hashes only those of failed values are kept. */
static bool take_old_entry(struct pin_record *record, const struct old_entry *entry)
{
    struct pin_token *token = old_token(record, entry->failed.serial);
    bool first = span_equal(entry->state, span_of_text("intent1"));
    bool second = span_equal(entry->state, span_of_text("intent2"));
    bool failed = span_equal(entry->state, span_of_text("failed"));
    if (token == NULL || (failed && record->failed_n == PIN_RECORD_FAILED)) {
        return false;
    }
    token->known = token->known || entry->once_good;
    token->cut = second ? PIN_CUT_MAX : token->cut + (first ? 1 : 0);
    token->errors = entry->restores > token->errors ? entry->restores : token->errors;
    token->last_s = entry->restored_s > token->last_s ? entry->restored_s : token->last_s;
    if (failed) {
        record->failed[record->failed_n++] = entry->failed;
    }
    return failed || first || second || span_equal(entry->state, span_of_text("none")) ||
           span_equal(entry->state, span_of_text("good"));
}

static bool parse_old_line(struct cursor *c, struct pin_record *record)
{
    struct old_entry entry = {0};
    return parse_old_entry(c, &entry) && take_old_entry(record, &entry);
}

/* ---- */

static bool parse(struct span bytes, struct pin_record *record)
{
    struct span first = span_of_text(FIRST_LINE);
    bool old = span_equal(span_part(bytes, 0, first.len), span_of_text(FIRST_LINE_OLD));
    struct cursor c = cursor_of(bytes);
    if (!expect(&c, old ? FIRST_LINE_OLD : FIRST_LINE) || !expect(&c, "salt=") ||
        !from_hex(until(&c, '\n'), record->salt, PIN_RECORD_SALT)) {
        return false;
    }
    record->has_salt = true;
    while (c.rest.len > 0) {
        if (!(old ? parse_old_line : parse_line)(&c, record) || c.bad) {
            return false;
        }
    }
    return !c.bad;
}

void pin_record_parse(struct span bytes, struct pin_record *ret_record)
{
    *ret_record = (struct pin_record){0};
    if (bytes.len > 0 && !parse(bytes, ret_record)) {
        corrupt(ret_record);
    }
}

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

static void put_token(struct writer *w, const struct pin_token *token)
{
    char rest[80];
    struct span serial = span_of_text(token->serial);
    put_text(w, "token=");
    if (span_equal(serial, span_of_text("*"))) {
        put_text(w, "*");
    } else {
        put_hex(w, serial.ptr, serial.len);
    }
    (void)snprintf(rest, sizeof(rest), " %d %d %d %d %" PRIu32 " %" PRIu32 " %" PRId64,
                   token->reports, token->known, token->any_length, token->pending,
                   at_most(token->cut, COUNT_MAX / 10), at_most(token->errors, COUNT_MAX / 10),
                   token->last_s);
    put_text(w, rest);
    put_source(w, &token->good);
}

static void put_failed(struct writer *w, const struct pin_failed *failed)
{
    struct span serial = span_of_text(failed->serial);
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

err_t pin_record_write(const struct pin_record *record, struct span_mut room, size_t *ret_len)
{
    struct writer w = writer_of(room);
    put_text(&w, FIRST_LINE "salt=");
    put_hex(&w, record->salt, PIN_RECORD_SALT);
    writer_u8(&w, '\n');
    for (size_t i = 0; i < record->tokens_n; i++) {
        put_token(&w, &record->tokens[i]);
    }
    for (size_t i = 0; i < record->failed_n; i++) {
        put_failed(&w, &record->failed[i]);
    }
    if (w.bad) {
        return FAIL(E_LIMIT, "the PIN record does not fit");
    }
    *ret_len = w.len;
    return OK;
}
