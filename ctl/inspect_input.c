#define _GNU_SOURCE
#include "ctl/inspect_input.h"

#include <string.h>

#include "base/own.h"

#define NO_VALUE "no envelope or etcd value, as raw bytes, hex or base64"
#define SEVERAL  "more than one object: print them with etcdctl get --prefix -w json"

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
            return FAIL(E_INVALID, NO_VALUE);
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
        return FAIL(E_INVALID, NO_VALUE);
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

static bool begins(struct span bytes, const char *front, size_t len)
{
    return bytes.len >= len && span_equal(span_part(bytes, 0, len), span_of(front, len));
}

/* As an envelope, as what kube-apiserver writes, or as a list of that in JSON. */
static bool begins_like_a_value(struct span bytes)
{
    return begins(bytes, "P11K", 4) || begins(bytes, "k8s:enc:", 8) || begins(bytes, "k8s\0", 4) ||
           begins(bytes, "{", 1);
}

/* Raw bytes: a value, or one below its key, as etcdctl prints them. */
static bool find_raw(struct span text, struct span *ret_bytes)
{
    const uint8_t *end = text.len == 0 ? NULL : memchr(text.ptr, '\n', text.len);
    size_t first_line = end == NULL ? text.len : (size_t)(end - text.ptr) + 1;
    struct span below = span_part(text, first_line, text.len - first_line);
    if (begins_like_a_value(text)) {
        *ret_bytes = text;
        return true;
    }
    if (begins_like_a_value(below)) {
        *ret_bytes = below;
        return true;
    }
    return false;
}

/* Where one value of raw bytes ends and the next key begins nobody can tell. */
static bool holds_another(struct span value)
{
    return value.ptr[0] == 'k' && (memmem(value.ptr, value.len, "\nk8s:enc:", 9) != NULL ||
                                   memmem(value.ptr, value.len, "\nk8s\0", 5) != NULL);
}

err_t inspect_decode(struct span_mut text, enum inspect_encoding encoding, struct span *ret_bytes)
{
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
    if (find_raw(span_const(text), ret_bytes)) {
        return holds_another(*ret_bytes) ? FAIL(E_INVALID, SEVERAL) : OK;
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
        return FAIL(E_LIMIT, "the input is larger than 32 MiB: inspect fewer objects at a time");
    }
    *ret_len = len;
    return OK;
}

static err_t read_file(const char *path, struct inspect_input *input, size_t *ret_len)
{
    OWN_FILE *file = fopen(path, "re");
    if (file == NULL) {
        return FAIL_ERRNO("cannot open the input file");
    }
    return read_stream(file, input, ret_len);
}

/*
 * What is no file is a value only when it begins like one: a mistyped path must not be taken for
 * base64.
 */
static err_t take_operand(const char *text, enum inspect_encoding encoding,
                          struct inspect_input *input)
{
    size_t len = strlen(text);
    input->store = (uint8_t *)strdup(text);
    if (input->store == NULL) {
        return FAIL_ERRNO("out of memory for the input");
    }
    err_t err = inspect_decode(span_mut_of(input->store, len), encoding, &input->bytes);
    if (failed(err) || !begins_like_a_value(input->bytes)) {
        return FAIL_DETAIL(E_SYSTEM, ENOENT, "no such file, and no envelope or etcd value either");
    }
    return OK;
}

err_t inspect_input_read(const char *from, enum inspect_encoding encoding,
                         struct inspect_input *ret_input)
{
    CLEANUP(inspect_input_done) struct inspect_input input = {0};
    size_t len = 0;
    bool standard = from == NULL || strcmp(from, "-") == 0;
    err_t err = standard ? read_stream(stdin, &input, &len) : read_file(from, &input, &len);
    bool no_file = !standard && err.code == E_SYSTEM &&
                   (err.detail == ENOENT || err.detail == ENAMETOOLONG || err.detail == ENOTDIR);
    if (no_file) {
        TRY(take_operand(from, encoding, &input));
    } else {
        TRY(err);
        TRY(inspect_decode(span_mut_of(input.store, len), encoding, &input.bytes));
    }
    *ret_input = input;
    input.store = NULL;
    return OK;
}

void inspect_input_done(struct inspect_input *input)
{
    free(input->store);
    *input = (struct inspect_input){0};
}
