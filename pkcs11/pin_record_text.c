/* The text form of the PIN guard's record. */
#include <inttypes.h>
#include <stdio.h>

#include "pkcs11/pin_record.h"

#define FIRST_LINE "p11-kms pin 1\n"

static const char *const state_names[PIN_STATES] = {"none", "intent1", "intent2", "good", "failed"};

static void corrupt(struct pin_record *record)
{
    *record = (struct pin_record){.n = 1};
    record->entries[0] = (struct pin_entry){.serial = "*", .state = PIN_INTENT1};
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

static bool parse_serial(struct span text, struct pin_entry *entry)
{
    if (span_equal(text, span_of_text("*"))) {
        entry->serial[0] = '*';
        return true;
    }
    uint8_t serial[PIN_RECORD_SERIAL];
    size_t n = text.len / 2;
    if (n > PIN_RECORD_SERIAL || !from_hex(text, serial, n)) {
        return false;
    }
    span_move(entry->serial, serial, n);
    return span_is_text(span_of(serial, n));
}

static bool parse_state(struct span text, struct pin_entry *entry)
{
    for (unsigned i = 0; i < PIN_STATES; i++) {
        if (span_equal(text, span_of_text(state_names[i]))) {
            entry->state = (enum pin_state)i;
            return true;
        }
    }
    return false;
}

static bool parse_hash(struct span text, struct pin_entry *entry)
{
    if (span_equal(text, span_of_text("-"))) {
        return entry->state == PIN_INTENT1; /* nothing else is ever written without */
    }
    entry->has_hash = true;
    return from_hex(text, entry->hash, PIN_RECORD_HASH);
}

static bool parse_entry(struct cursor *c, struct pin_entry *entry)
{
    int64_t once_good = 0;
    int64_t restores = 0;
    bool good = expect(c, "entry=") && parse_serial(until(c, ' '), entry) &&
                parse_state(until(c, ' '), entry) && parse_hash(until(c, ' '), entry) &&
                from_decimal(until(c, ' '), 100, &once_good) &&
                from_decimal(until(c, ' '), 1000000, &restores) &&
                from_decimal(until(c, '\n'), INT64_MAX, &entry->restored_s);
    entry->once_good = once_good == 1;
    entry->restores = (uint32_t)restores;
    return good && once_good <= 1 && !c->bad;
}

static bool parse(struct span bytes, struct pin_record *record)
{
    struct cursor c = cursor_of(bytes);
    if (!expect(&c, FIRST_LINE) || !expect(&c, "salt=") ||
        !from_hex(until(&c, '\n'), record->salt, PIN_RECORD_SALT)) {
        return false;
    }
    record->has_salt = true;
    while (c.rest.len > 0) {
        if (record->n == PIN_RECORD_ENTRIES || !parse_entry(&c, &record->entries[record->n])) {
            return false;
        }
        record->n++;
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

static void put_entry(struct writer *w, const struct pin_entry *entry)
{
    char tail[64];
    struct span serial = span_of_text(entry->serial);
    writer_bytes(w, span_of_text("entry="));
    if (span_equal(serial, span_of_text("*"))) {
        writer_u8(w, '*');
    } else {
        put_hex(w, serial.ptr, serial.len);
    }
    writer_u8(w, ' ');
    writer_bytes(w, span_of_text(state_names[entry->state]));
    writer_u8(w, ' ');
    if (entry->has_hash) {
        put_hex(w, entry->hash, PIN_RECORD_HASH);
    } else {
        writer_u8(w, '-');
    }
    (void)snprintf(tail, sizeof(tail), " %d %" PRIu32 " %" PRId64 "\n", entry->once_good ? 1 : 0,
                   entry->restores, entry->restored_s);
    writer_bytes(w, span_of_text(tail));
}

err_t pin_record_write(const struct pin_record *record, struct span_mut room, size_t *ret_len)
{
    struct writer w = writer_of(room);
    writer_bytes(&w, span_of_text(FIRST_LINE "salt="));
    put_hex(&w, record->salt, PIN_RECORD_SALT);
    writer_u8(&w, '\n');
    for (size_t i = 0; i < record->n; i++) {
        put_entry(&w, &record->entries[i]);
    }
    if (w.bad) {
        return FAIL(E_LIMIT, "the PIN record does not fit");
    }
    *ret_len = w.len;
    return OK;
}
