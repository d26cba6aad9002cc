#include "server/grpc/status.h"

enum grpc_status grpc_status_of(enum err_code code)
{
    static const enum grpc_status statuses[] = {
        [E_NONE] = GRPC_OK,
        [E_INVALID] = GRPC_INVALID_ARGUMENT,
        [E_CRYPTO] = GRPC_INVALID_ARGUMENT,
        [E_NOT_FOUND] = GRPC_NOT_FOUND,
        [E_LIMIT] = GRPC_RESOURCE_EXHAUSTED,
        [E_UNAVAILABLE] = GRPC_UNAVAILABLE,
        [E_DEADLINE] = GRPC_DEADLINE_EXCEEDED,
        [E_DENIED] = GRPC_PERMISSION_DENIED,
        [E_STATE] = GRPC_FAILED_PRECONDITION,
        [E_UNSUPPORTED] = GRPC_UNIMPLEMENTED,
        [E_PROTOCOL] = GRPC_INTERNAL,
        [E_SYSTEM] = GRPC_INTERNAL,
        [E_TOKEN] = GRPC_UNAVAILABLE,
        [E_BUG] = GRPC_INTERNAL,
    };
    return statuses[code];
}

const char *grpc_status_digits(enum grpc_status status)
{
    static const char *const digits[] = {
        [GRPC_OK] = "0",
        [GRPC_INVALID_ARGUMENT] = "3",
        [GRPC_DEADLINE_EXCEEDED] = "4",
        [GRPC_NOT_FOUND] = "5",
        [GRPC_PERMISSION_DENIED] = "7",
        [GRPC_RESOURCE_EXHAUSTED] = "8",
        [GRPC_FAILED_PRECONDITION] = "9",
        [GRPC_UNIMPLEMENTED] = "12",
        [GRPC_INTERNAL] = "13",
        [GRPC_UNAVAILABLE] = "14",
    };
    return digits[status];
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte <= 0x7e && byte != '%';
}

static void encode(struct span bytes, struct writer *out)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = bytes.ptr[i];
        if (is_plain(byte)) {
            writer_u8(out, byte);
        } else {
            writer_u8(out, '%');
            writer_u8(out, (uint8_t)hex[byte >> 4]);
            writer_u8(out, (uint8_t)hex[byte & 15]);
        }
    }
}

/* Room that `bytes` need: whole characters only, for whoever decodes the text wants UTF-8. */
static size_t encoded_length(struct span bytes)
{
    return bytes.len == 1 && is_plain(bytes.ptr[0]) ? 1 : 3 * bytes.len;
}

void grpc_status_encode(struct span text, struct writer *out)
{
    for (size_t at = 0; at < text.len;) {
        uint32_t point;
        size_t step = span_character(span_part(text, at, text.len - at), &point);
        struct span character = span_part(text, at, step == 0 ? 1 : step);
        if (out->room.len - out->len < encoded_length(character)) {
            return;
        }
        encode(character, out);
        at += character.len;
    }
}
