#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/state.h"

#define CURRENT_HEAD "p11-kms current 1\n"
#define HEALTH_HEAD  "p11-kms health 1\n"
#define ID_BYTES     16u

/* ---- writing ---- */

static void put_text(struct writer *out, const char *text)
{
    writer_bytes(out, span_of_text(text));
}

static void put_number(struct writer *out, const char *key, int64_t value)
{
    char line[64];
    (void)snprintf(line, sizeof(line), "%s=%" PRId64 "\n", key, value);
    put_text(out, line);
}

/* A line is one line: what would end it early becomes a space. */
static void put_line(struct writer *out, const char *key, const char *text, size_t size)
{
    put_text(out, key);
    put_text(out, "=");
    size_t len = strnlen(text, size);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];
        writer_u8(out, byte < 0x20 || byte == 0x7f ? ' ' : byte);
    }
    put_text(out, "\n");
}

static err_t finish(const struct writer *out, size_t *ret_len)
{
    if (out->bad) {
        return FAIL(E_LIMIT, "the record does not fit");
    }
    *ret_len = out->len;
    return OK;
}

err_t state_current_write(const struct state_current *record, struct span_mut room, size_t *ret_len)
{
    char hex[2 * ID_BYTES + 1];
    for (size_t i = 0; i < ID_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", record->kek_id[i]);
    }
    struct writer out = writer_of(room);
    put_text(&out, CURRENT_HEAD);
    put_line(&out, "kek_id", hex, sizeof(hex));
    put_number(&out, "not_before", record->not_before);
    put_number(&out, "created", record->created);
    return finish(&out, ret_len);
}

err_t state_health_write(const struct state_health *record, struct span_mut room, size_t *ret_len)
{
    struct writer out = writer_of(room);
    put_text(&out, HEALTH_HEAD);
    put_line(&out, "state", record->state, sizeof(record->state));
    put_number(&out, "since_s", record->since_s);
    put_number(&out, "outage_s", record->outage_s);
    put_number(&out, "written_s", record->written_s);
    put_line(&out, "key_id", record->key_id, sizeof(record->key_id));
    put_line(&out, "mend", record->mend, sizeof(record->mend));
    return finish(&out, ret_len);
}

/* ---- reading: exactly what is written above, nothing else ---- */

static void take(struct cursor *in, const char *text)
{
    struct span wanted = span_of_text(text);
    if (!span_equal(cursor_bytes(in, wanted.len), wanted)) {
        in->bad = true;
    }
}

/* The value of the next line, which must be for this key. */
static struct span take_value(struct cursor *in, const char *key)
{
    take(in, key);
    take(in, "=");
    size_t len = 0;
    while (len < in->rest.len && in->rest.ptr[len] >= 0x20 && in->rest.ptr[len] != 0x7f) {
        len++;
    }
    struct span value = cursor_bytes(in, len);
    take(in, "\n");
    return value;
}

static void take_line(struct cursor *in, const char *key, char *ret_text, size_t size)
{
    struct span value = take_value(in, key);
    if (!span_copy(span_mut_of(ret_text, size - 1), value)) {
        in->bad = true;
        return;
    }
    ret_text[value.len] = '\0';
}

static int64_t take_number(struct cursor *in, const char *key, int64_t max)
{
    struct span value = take_value(in, key);
    int64_t number = 0;
    if (value.len == 0 || value.len > 19) {
        in->bad = true;
    }
    for (size_t i = 0; i < value.len && !in->bad; i++) {
        int digit = value.ptr[i] - '0';
        if (digit < 0 || digit > 9 || number > (max - digit) / 10) {
            in->bad = true;
        } else {
            number = number * 10 + digit;
        }
    }
    return number;
}

static uint8_t hex_digit(struct cursor *in, uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return (uint8_t)(byte - '0');
    }
    if (byte >= 'a' && byte <= 'f') {
        return (uint8_t)(byte - 'a' + 10);
    }
    in->bad = true;
    return 0;
}

static void take_id(struct cursor *in, const char *key, uint8_t ret_id[ID_BYTES])
{
    struct span value = take_value(in, key);
    if (value.len != 2 * ID_BYTES) {
        in->bad = true;
        return;
    }
    for (size_t i = 0; i < ID_BYTES; i++) {
        uint8_t high = hex_digit(in, value.ptr[2 * i]);
        ret_id[i] = (uint8_t)(high << 4 | hex_digit(in, value.ptr[2 * i + 1]));
    }
}

err_t state_current_parse(struct span bytes, struct state_current *ret_record)
{
    struct state_current record = {0};
    struct cursor in = cursor_of(bytes);
    take(&in, CURRENT_HEAD);
    take_id(&in, "kek_id", record.kek_id);
    record.not_before = (uint32_t)take_number(&in, "not_before", UINT32_MAX);
    record.created = (uint32_t)take_number(&in, "created", UINT32_MAX);
    if (!cursor_at_end(&in)) {
        return FAIL(E_INVALID, "the record of the newest key does not parse");
    }
    *ret_record = record;
    return OK;
}

err_t state_health_parse(struct span bytes, struct state_health *ret_record)
{
    struct state_health record = {0};
    struct cursor in = cursor_of(bytes);
    take(&in, HEALTH_HEAD);
    take_line(&in, "state", record.state, sizeof(record.state));
    record.since_s = take_number(&in, "since_s", INT64_MAX);
    record.outage_s = take_number(&in, "outage_s", INT64_MAX);
    record.written_s = take_number(&in, "written_s", INT64_MAX);
    take_line(&in, "key_id", record.key_id, sizeof(record.key_id));
    take_line(&in, "mend", record.mend, sizeof(record.mend));
    if (!cursor_at_end(&in)) {
        return FAIL(E_INVALID, "the record of the health does not parse");
    }
    *ret_record = record;
    return OK;
}
