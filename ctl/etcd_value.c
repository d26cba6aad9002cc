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

err_t etcd_value_parse(struct span bytes, struct etcd_value *ret_value)
{
    static const char prefix[] = "k8s:enc:kms:v";
    struct cursor c = cursor_of(bytes);
    if (!span_equal(cursor_bytes(&c, sizeof(prefix) - 1), span_of_text(prefix))) {
        return FAIL(E_NOT_FOUND, "not an etcd value of KMS");
    }
    uint8_t version = cursor_u8(&c);
    if ((version != '1' && version != '2') || cursor_u8(&c) != ':') {
        return FAIL(E_NOT_FOUND, "not an etcd value of KMS v1 or v2");
    }
    struct etcd_value value = {.api = version == '1' ? ENVELOPE_V1 : ENVELOPE_V2};
    value.name = read_name(&c);
    if (c.bad) {
        return FAIL(E_INVALID, "broken provider name");
    }
    TRY(version == '1' ? parse_v1(&c, &value) : parse_v2(&c, &value));
    *ret_value = value;
    return OK;
}
