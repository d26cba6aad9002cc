#define _GNU_SOURCE
#include "token/ipc.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static bool gone(int error)
{
    return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

err_t ipc_send(int fd, struct ipc_header *header, struct span payload)
{
    if (payload.len > IPC_PAYLOAD_MAX) {
        return FAIL(E_BUG, "token frame exceeds its payload limit");
    }
    header->magic = IPC_MAGIC;
    header->length = (uint32_t)payload.len;
    header->reserved = 0;
    /* sendmsg only reads the payload, but struct iovec has no const. */
    union {
        const uint8_t *in;
        void *out;
    } bytes = {.in = payload.ptr};
    struct iovec parts[2] = {{.iov_base = header, .iov_len = sizeof(*header)},
                             {.iov_base = bytes.out, .iov_len = payload.len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = payload.len == 0 ? 1 : 2};
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
        return FAIL(E_UNAVAILABLE, "token socket is full");
    }
    if (sent < 0) {
        return FAIL_ERRNO("cannot send a token frame");
    }
    return OK;
}

static bool header_ok(const struct ipc_header *header, size_t got)
{
    return header->magic == IPC_MAGIC && header->reserved == 0 && header->verb >= IPC_HELLO &&
           header->verb < IPC_VERBS && (header->flags & ~(unsigned)IPC_REPLY) == 0 &&
           header->outcome <= IPC_LACKS && header->length == got;
}

err_t ipc_receive(int fd, struct ipc_header *ret_header, struct span_mut room,
                  struct span *ret_payload)
{
    struct ipc_header header = {0};
    struct iovec parts[2] = {{.iov_base = &header, .iov_len = sizeof(header)},
                             {.iov_base = room.ptr, .iov_len = room.len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = room.len == 0 ? 1 : 2};
    ssize_t got;
    do {
        got = recvmsg(fd, &message, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return FAIL(E_UNAVAILABLE, "no token frame waits");
    }
    if (got == 0 || (got < 0 && gone(errno))) {
        return FAIL(E_NOT_FOUND, "the other side of the token socket is gone");
    }
    if (got < 0) {
        return FAIL_ERRNO("cannot receive a token frame");
    }
    if ((message.msg_flags & MSG_TRUNC) != 0 || (size_t)got < sizeof(header) ||
        !header_ok(&header, (size_t)got - sizeof(header))) {
        return FAIL(E_PROTOCOL, "broken token frame");
    }
    *ret_header = header;
    *ret_payload = span_of(room.ptr, header.length);
    return OK;
}

static bool ends(const char *text, size_t size)
{
    return text[size - 1] == '\0';
}

err_t ipc_status_read(struct span payload, struct ipc_status *ret_status)
{
    struct ipc_status in;
    if (payload.len != sizeof(in)) {
        return FAIL(E_PROTOCOL, "broken status of the token process");
    }
    span_move(&in, payload.ptr, sizeof(in));
    if (in.phase > IPC_PHASE_READY || !ends(in.text, sizeof(in.text)) ||
        !ends(in.token, sizeof(in.token)) || !ends(in.serial, sizeof(in.serial)) ||
        !ends(in.model, sizeof(in.model)) || !ends(in.manufacturer, sizeof(in.manufacturer))) {
        return FAIL(E_PROTOCOL, "broken status of the token process");
    }
    struct ipc_status out = in;
    (void)span_to_text(span_of_text(in.text), out.text, sizeof(out.text));
    (void)span_to_text(span_of_text(in.token), out.token, sizeof(out.token));
    (void)span_to_text(span_of_text(in.serial), out.serial, sizeof(out.serial));
    (void)span_to_text(span_of_text(in.model), out.model, sizeof(out.model));
    (void)span_to_text(span_of_text(in.manufacturer), out.manufacturer, sizeof(out.manufacturer));
    *ret_status = out;
    return OK;
}

bool ipc_key_unnamed(const struct ipc_key *key)
{
    return key->state == IPC_KEY_UNREADABLE && key->ref.id_len == 0 && key->label[0] == '\0';
}

bool ipc_key_of_ring(const struct ipc_key *key, const char *ring)
{
    return key->activation.by != IPC_BY_NOTHING && strcmp(key->activation.ring, ring) == 0;
}

const char *ipc_mechanism_words(uint64_t mechanism)
{
    static const char *const words[] = {
        [IPC_MECHANISM_NONE] = "a mechanism that a KEK needs",
#define X(name_, words_) [IPC_MECHANISM_##name_] = (words_),
        IPC_MECHANISMS(X)
#undef X
    };
    return words[mechanism < IPC_MECHANISMS_N ? mechanism : IPC_MECHANISM_NONE];
}

const char *ipc_attribute_name(uint32_t bit)
{
    static const char *const names[] = {
        "CKA_PRIVATE",
        "CKA_SENSITIVE",
        "CKA_ALWAYS_SENSITIVE",
        "CKA_NEVER_EXTRACTABLE",
        "CKA_LOCAL",
        "CKA_ENCRYPT",
        "CKA_DECRYPT",
        "CKA_EXTRACTABLE",
        "CKA_SIGN",
        "CKA_VERIFY",
        "CKA_WRAP",
        "CKA_UNWRAP",
        "CKA_DERIVE",
        "AAD binding",
        "AES-256 key value",
        "CKA_MODIFIABLE",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (bit == 1u << i) {
            return names[i];
        }
    }
    return "unknown attribute";
}

void ipc_attribute_names(uint32_t bits, char *ret_text, size_t size)
{
    size_t len = 0;
    ret_text[0] = '\0';
    for (uint32_t bit = 1; bit <= IPC_ATTR_MODIFIABLE; bit <<= 1) {
        if ((bits & bit) == 0) {
            continue;
        }
        int n = snprintf(ret_text + len, size - len, "%s%s", len == 0 ? "" : ", ",
                         ipc_attribute_name(bit));
        if (n < 0 || (size_t)n >= size - len) {
            return;
        }
        len += (size_t)n;
    }
}
