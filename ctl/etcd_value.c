#include "ctl/etcd_value.h"

#include "keys/envelope.h"

#define NAME_MAX_LEN 253u
#define VARINT_MAX   10u

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct field {
    uint64_t number;
    unsigned type;
    uint64_t varint;
    struct span bytes;
};

static uint64_t read_varint(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_MAX; i++) {
        uint8_t byte = cursor_u8(c);
        if (i == VARINT_MAX - 1 && byte > 1) {
            break; /* more than 64 bits */
        }
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    c->bad = true;
    return 0;
}

static struct span read_bytes(struct cursor *c)
{
    uint64_t len = read_varint(c);
    if (c->bad || len > c->rest.len) {
        c->bad = true;
        return span_of(NULL, 0);
    }
    return cursor_bytes(c, (size_t)len);
}

static struct field read_field(struct cursor *c)
{
    uint64_t tag = read_varint(c);
    struct field field = {.number = tag >> 3, .type = (unsigned)(tag & 7)};
    switch (field.type) {
    case WIRE_VARINT:
        field.varint = read_varint(c);
        break;
    case WIRE_FIXED64:
        (void)cursor_u64(c);
        break;
    case WIRE_BYTES:
        field.bytes = read_bytes(c);
        break;
    case WIRE_FIXED32:
        (void)cursor_u32(c);
        break;
    default:
        c->bad = true;
        break;
    }
    c->bad = c->bad || field.number == 0;
    return field;
}

/* False for a field of ours with another wire type; unknown fields are passed over. */
static bool keep(const struct field *field, struct etcd_value *value)
{
    switch (field->number) {
    case 1:
        value->object = field->bytes;
        break;
    case 2:
        value->key_id = field->bytes;
        break;
    case 3:
        value->envelope = field->bytes;
        break;
    case 4:
        value->annotations++;
        break;
    case 5:
        value->source_type = field->varint;
        return field->type == WIRE_VARINT;
    default:
        return true;
    }
    return field->type == WIRE_BYTES;
}

static err_t parse_v2(struct cursor *c, struct etcd_value *value)
{
    while (!c->bad && c->rest.len > 0) {
        struct field field = read_field(c);
        if (c->bad || !keep(&field, value)) {
            return FAIL(E_INVALID, "broken EncryptedObject");
        }
    }
    return OK;
}

static err_t parse_v1(struct cursor *c, struct etcd_value *value)
{
    value->envelope = cursor_bytes(c, cursor_u16(c));
    value->object = c->rest;
    return c->bad ? FAIL(E_INVALID, "the length of the encrypted DEK exceeds the value") : OK;
}

/* Up to the next ':'. */
static struct span read_name(struct cursor *c)
{
    struct span rest = c->rest;
    size_t len = 0;
    while (len < rest.len && len < NAME_MAX_LEN && rest.ptr[len] != ':') {
        len++;
    }
    struct span name = cursor_bytes(c, len);
    c->bad = c->bad || cursor_u8(c) != ':' || len == 0 || !span_is_text(name);
    return name;
}

/* Passes over the text when it stands there. */
static bool take(struct cursor *c, const char *text)
{
    struct span wanted = span_of_text(text);
    if (c->bad || !span_equal(span_part(c->rest, 0, wanted.len), wanted)) {
        return false;
    }
    (void)cursor_bytes(c, wanted.len);
    return true;
}

static err_t parse_kms(struct cursor *c, struct etcd_value *value)
{
    bool first = take(c, "v1:");
    if (!first && !take(c, "v2:")) {
        return OK; /* of a version that we do not know */
    }
    value->form = ETCD_KMS;
    value->api = first ? ENVELOPE_V1 : ENVELOPE_V2;
    value->name = read_name(c);
    if (c->bad) {
        return FAIL(E_INVALID, "broken provider name");
    }
    return first ? parse_v1(c, value) : parse_v2(c, value);
}

static bool is_native(struct span transformer)
{
    return span_equal(transformer, span_of_text("aescbc")) ||
           span_equal(transformer, span_of_text("aesgcm")) ||
           span_equal(transformer, span_of_text("secretbox"));
}

static err_t parse_encrypted(struct cursor *c, struct etcd_value *value)
{
    value->form = ETCD_UNKNOWN;
    value->transformer = read_name(c);
    value->object = c->rest;
    if (c->bad) {
        return FAIL(E_INVALID, "k8s:enc: without the name of a transformer");
    }
    if (span_equal(value->transformer, span_of_text("kms"))) {
        return parse_kms(c, value);
    }
    if (is_native(value->transformer) && take(c, "v1:")) {
        value->form = ETCD_NATIVE;
        value->name = read_name(c);
        value->object = c->rest;
        return c->bad ? FAIL(E_INVALID, "broken name of a key") : OK;
    }
    return OK;
}

/* apiVersion and kind; what does not read leaves them empty. */
static void parse_type(struct span type_meta, struct etcd_value *value)
{
    struct cursor c = cursor_of(type_meta);
    while (!c.bad && c.rest.len > 0) {
        struct field field = read_field(&c);
        if (!c.bad && field.type == WIRE_BYTES && field.number == 1) {
            value->api_version = field.bytes;
        } else if (!c.bad && field.type == WIRE_BYTES && field.number == 2) {
            value->kind = field.bytes;
        }
    }
}

static void parse_plain(struct cursor *c, struct etcd_value *value)
{
    value->object = c->rest;
    struct field field = read_field(c);
    if (!c->bad && field.type == WIRE_BYTES && field.number == 1) {
        parse_type(field.bytes, value);
    }
}

err_t etcd_value_parse(struct span bytes, struct etcd_value *ret_value)
{
    struct cursor c = cursor_of(bytes);
    struct etcd_value value = {.form = ETCD_PLAIN};
    if (take(&c, "k8s:enc:")) {
        TRY(parse_encrypted(&c, &value));
    } else if (span_equal(span_part(bytes, 0, 4), span_of("k8s", 4))) {
        (void)cursor_bytes(&c, 4);
        parse_plain(&c, &value);
    } else if (bytes.len > 0 && bytes.ptr[0] == '{') {
        value.json = true;
        value.object = bytes;
    } else {
        return FAIL(E_NOT_FOUND, "no value that kube-apiserver writes to etcd");
    }
    *ret_value = value;
    return OK;
}
