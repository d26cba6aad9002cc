#define _GNU_SOURCE
#include "ctl/inspect_input.h"

#include <string.h>

#include "base/own.h"

#define ETCD_PREFIX "k8s:enc:kms:v"

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int base64_digit(uint8_t c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (c == '-' || c == '_') { /* the URL alphabet */
        return c == '-' ? 62 : 63;
    }
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Both decoders write behind what they have read. `bits` per digit; '=' ends base64. */
static err_t decode_digits(struct span_mut text, int (*digit)(uint8_t), unsigned bits,
                           struct span *ret_bytes)
{
    uint32_t held = 0;
    unsigned held_bits = 0;
    size_t len = 0;
    bool ended = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        ended = ended || (bits == 6 && c == '=');
        if (is_space(c) || (ended && c == '=')) {
            continue;
        }
        int value = ended ? -1 : digit(c);
        if (value < 0) {
            return FAIL(E_INVALID, "no envelope or etcd value, as raw bytes, hex or base64");
        }
        held = held << bits | (uint32_t)value;
        held_bits += bits;
        if (held_bits >= 8) {
            held_bits -= 8;
            text.ptr[len++] = (uint8_t)(held >> held_bits);
            held &= (1u << held_bits) - 1;
        }
    }
    if (len == 0 || held_bits >= bits || held != 0) {
        return FAIL(E_INVALID, "no envelope or etcd value, as raw bytes, hex or base64");
    }
    *ret_bytes = span_of(text.ptr, len);
    return OK;
}

static bool all_hex(struct span_mut text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_space(text.ptr[i]) && hex_digit(text.ptr[i]) < 0) {
            return false;
        }
    }
    return true;
}

err_t inspect_decode(struct span_mut text, enum inspect_encoding encoding, struct span *ret_bytes)
{
    const uint8_t *value =
        text.len == 0 ? NULL : memmem(text.ptr, text.len, ETCD_PREFIX, sizeof(ETCD_PREFIX) - 1);
    switch (encoding) {
    case INSPECT_RAW:
        *ret_bytes = span_const(text);
        return OK;
    case INSPECT_HEX:
        return decode_digits(text, hex_digit, 4, ret_bytes);
    case INSPECT_BASE64:
        return decode_digits(text, base64_digit, 6, ret_bytes);
    case INSPECT_AUTO:
        break;
    }
    if (text.len >= 4 && span_equal(span_of(text.ptr, 4), span_of_text("P11K"))) {
        *ret_bytes = span_const(text);
        return OK;
    }
    if (value != NULL) {
        *ret_bytes = span_of(value, text.len - (size_t)(value - text.ptr));
        return OK;
    }
    return all_hex(text) ? decode_digits(text, hex_digit, 4, ret_bytes)
                         : decode_digits(text, base64_digit, 6, ret_bytes);
}

static err_t read_stream(FILE *file, struct inspect_input *input, size_t *ret_len)
{
    input->store = malloc(INSPECT_MAX + 1);
    if (input->store == NULL) {
        return FAIL_ERRNO("out of memory for the input");
    }
    size_t len = fread(input->store, 1, INSPECT_MAX + 1, file);
    if (ferror(file) != 0) {
        return FAIL_ERRNO("cannot read the input");
    }
    if (len > INSPECT_MAX) {
        return FAIL(E_LIMIT, "the input is larger than 4 MiB");
    }
    *ret_len = len;
    return OK;
}

static err_t read_any(const char *from, struct inspect_input *input, size_t *ret_len)
{
    if (from == NULL || strcmp(from, "-") == 0) {
        return read_stream(stdin, input, ret_len);
    }
    OWN_FILE *file = fopen(from, "re");
    if (file != NULL) {
        return read_stream(file, input, ret_len);
    }
    if (errno != ENOENT && errno != ENAMETOOLONG) {
        return FAIL_ERRNO("cannot open the input file");
    }
    input->store = (uint8_t *)strdup(from);
    if (input->store == NULL) {
        return FAIL_ERRNO("out of memory for the input");
    }
    *ret_len = strlen(from);
    return OK;
}

err_t inspect_input_read(const char *from, enum inspect_encoding encoding,
                         struct inspect_input *ret_input)
{
    CLEANUP(inspect_input_done) struct inspect_input input = {0};
    size_t len = 0;
    TRY(read_any(from, &input, &len));
    TRY(inspect_decode(span_mut_of(input.store, len), encoding, &input.bytes));
    *ret_input = input;
    input.store = NULL;
    return OK;
}

void inspect_input_done(struct inspect_input *input)
{
    free(input->store);
    *input = (struct inspect_input){0};
}
