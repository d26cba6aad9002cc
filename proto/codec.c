#include "proto/codec.h"

#include <protobuf-c/protobuf-c.h>

#include "proto/kms_v1beta1.pb-c.h"
#include "proto/kms_v2.pb-c.h"

#define FIELDS_MAX 3u

enum check {
    CHECK_NONE, /* bytes: anything */
    CHECK_UTF8, /* free text: UTF-8 without NUL; control characters are the log's business */
    CHECK_NAME, /* UTF-8 without control characters, at most CODEC_TEXT_MAX bytes */
};

/* One field: where it lies in the generated struct and in ours. */
struct field {
    size_t theirs;
    size_t ours;
    enum check check;
};

struct shape {
    const ProtobufCMessageDescriptor *descriptor;
    size_t count;
    struct field fields[FIELDS_MAX];
};

#define REQUEST(message_, theirs_, ours_, check_)                                                  \
    {                                                                                              \
        offsetof(message_, theirs_), offsetof(struct codec_request, ours_), check_                 \
    }
#define RESPONSE(message_, theirs_, ours_, check_)                                                 \
    {                                                                                              \
        offsetof(message_, theirs_), offsetof(struct codec_response, ours_), check_                \
    }

static const struct shape request_shapes[CODEC_METHODS] = {
    [CODEC_V2_STATUS] = {&v2__status_request__descriptor, 0, {{0}}},
    [CODEC_V2_ENCRYPT] = {&v2__encrypt_request__descriptor,
                          2,
                          {REQUEST(V2__EncryptRequest, plaintext, payload, CHECK_NONE),
                           REQUEST(V2__EncryptRequest, uid, uid, CHECK_UTF8)}},
    [CODEC_V2_DECRYPT] = {&v2__decrypt_request__descriptor,
                          3,
                          {REQUEST(V2__DecryptRequest, ciphertext, payload, CHECK_NONE),
                           REQUEST(V2__DecryptRequest, uid, uid, CHECK_UTF8),
                           REQUEST(V2__DecryptRequest, key_id, key_id, CHECK_NAME)}},
    [CODEC_V1_VERSION] = {&v1beta1__version_request__descriptor,
                          1,
                          {REQUEST(V1beta1__VersionRequest, version, version, CHECK_UTF8)}},
    [CODEC_V1_ENCRYPT] = {&v1beta1__encrypt_request__descriptor,
                          2,
                          {REQUEST(V1beta1__EncryptRequest, version, version, CHECK_UTF8),
                           REQUEST(V1beta1__EncryptRequest, plain, payload, CHECK_NONE)}},
    [CODEC_V1_DECRYPT] = {&v1beta1__decrypt_request__descriptor,
                          2,
                          {REQUEST(V1beta1__DecryptRequest, version, version, CHECK_UTF8),
                           REQUEST(V1beta1__DecryptRequest, cipher, payload, CHECK_NONE)}},
};

static const struct shape response_shapes[CODEC_METHODS] = {
    [CODEC_V2_STATUS] = {&v2__status_response__descriptor,
                         3,
                         {RESPONSE(V2__StatusResponse, version, version, CHECK_NAME),
                          RESPONSE(V2__StatusResponse, healthz, healthz, CHECK_UTF8),
                          RESPONSE(V2__StatusResponse, key_id, key_id, CHECK_NAME)}},
    [CODEC_V2_ENCRYPT] = {&v2__encrypt_response__descriptor,
                          2,
                          {RESPONSE(V2__EncryptResponse, ciphertext, payload, CHECK_NONE),
                           RESPONSE(V2__EncryptResponse, key_id, key_id, CHECK_NAME)}},
    [CODEC_V2_DECRYPT] = {&v2__decrypt_response__descriptor,
                          1,
                          {RESPONSE(V2__DecryptResponse, plaintext, payload, CHECK_NONE)}},
    [CODEC_V1_VERSION] =
        {&v1beta1__version_response__descriptor,
         3,
         {RESPONSE(V1beta1__VersionResponse, version, version, CHECK_NAME),
          RESPONSE(V1beta1__VersionResponse, runtime_name, runtime_name, CHECK_NAME),
          RESPONSE(V1beta1__VersionResponse, runtime_version, runtime_version, CHECK_NAME)}},
    [CODEC_V1_ENCRYPT] = {&v1beta1__encrypt_response__descriptor,
                          1,
                          {RESPONSE(V1beta1__EncryptResponse, cipher, payload, CHECK_NONE)}},
    [CODEC_V1_DECRYPT] = {&v1beta1__decrypt_response__descriptor,
                          1,
                          {RESPONSE(V1beta1__DecryptResponse, plain, payload, CHECK_NONE)}},
};

/* Room for any of the messages that we pack. */
union message {
    ProtobufCMessage base;
    V2__StatusResponse v2_status;
    V2__EncryptRequest v2_encrypt_request;
    V2__EncryptResponse v2_encrypt;
    V2__DecryptRequest v2_decrypt_request;
    V2__DecryptResponse v2_decrypt;
    V1beta1__VersionRequest v1_version_request;
    V1beta1__VersionResponse v1_version;
    V1beta1__EncryptRequest v1_encrypt_request;
    V1beta1__EncryptResponse v1_encrypt;
    V1beta1__DecryptRequest v1_decrypt_request;
    V1beta1__DecryptResponse v1_decrypt;
};

static const char *const paths[CODEC_METHODS] = {
    [CODEC_V2_STATUS] = "/v2.KeyManagementService/Status",
    [CODEC_V2_ENCRYPT] = "/v2.KeyManagementService/Encrypt",
    [CODEC_V2_DECRYPT] = "/v2.KeyManagementService/Decrypt",
    [CODEC_V1_VERSION] = "/v1beta1.KeyManagementService/Version",
    [CODEC_V1_ENCRYPT] = "/v1beta1.KeyManagementService/Encrypt",
    [CODEC_V1_DECRYPT] = "/v1beta1.KeyManagementService/Decrypt",
};

const char *codec_path(enum codec_method method)
{
    return paths[method];
}

/* protobuf-c says NULL to a message that is too much and to one that is broken; this tells them. */
static void *arena_alloc(void *exhausted, size_t size)
{
    void *ptr = secret_alloc(SECRET_PROTO, size);
    if (ptr == NULL) {
        *(bool *)exhausted = true;
    }
    return ptr;
}

static void arena_free(void *exhausted, void *ptr)
{
    (void)exhausted;
    secret_release(SECRET_PROTO, ptr);
}

static err_t unpack(const ProtobufCMessageDescriptor *descriptor, struct span bytes,
                    ProtobufCMessage **ret_message)
{
    bool exhausted = false;
    ProtobufCAllocator arena = {
        .alloc = arena_alloc, .free = arena_free, .allocator_data = &exhausted};
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &arena, bytes.len, bytes.ptr);
    if (message == NULL && exhausted) {
        return FAIL(E_LIMIT, "message needs more memory than messages have");
    }
    if (message == NULL) {
        return FAIL(E_PROTOCOL, "not the protobuf message of this method");
    }
    *ret_message = message;
    return OK;
}

static void release(void *message)
{
    ProtobufCAllocator arena = {.alloc = arena_alloc, .free = arena_free};
    if (message != NULL) {
        protobuf_c_message_free_unpacked(message, &arena);
    }
}

static bool is_utf8_without_nul(struct span bytes)
{
    uint32_t point = 0;
    for (size_t at = 0; at < bytes.len;) {
        size_t step = span_character(span_part(bytes, at, bytes.len - at), &point);
        if (step == 0 || point == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

static err_t check_text(enum check check, struct span text)
{
    if (check == CHECK_NAME && text.len > CODEC_TEXT_MAX) {
        return FAIL(E_INVALID, "a name is longer than 1024 bytes");
    }
    if (check == CHECK_NAME && !span_is_text(text)) {
        return FAIL(E_INVALID, "a name is not printable UTF-8");
    }
    if (check == CHECK_UTF8 && !is_utf8_without_nul(text)) {
        return FAIL(E_INVALID, "a string is not UTF-8 or holds a NUL");
    }
    return OK;
}

/* Fills our struct (at `ours`) with views of the unpacked message. */
static err_t read_fields(const struct shape *shape, const ProtobufCMessage *message, void *ours)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        const ProtobufCBinaryData *from = (const void *)((const uint8_t *)message + field->theirs);
        struct span *to = (void *)((uint8_t *)ours + field->ours);
        *to = span_of(from->data, from->len);
        TRY(check_text(field->check, *to));
    }
    return OK;
}

static err_t unpack_checked(const struct shape *shape, struct span bytes, void *ours,
                            void **ret_owner)
{
    ProtobufCMessage *message = NULL;
    TRY(unpack(shape->descriptor, bytes, &message));
    err_t err = read_fields(shape, message, ours);
    if (failed(err)) {
        release(message);
        return err;
    }
    *ret_owner = message;
    return OK;
}

/* protobuf-c reads through this pointer only, but does not say so in its type. */
static uint8_t *without_const(const uint8_t *ptr)
{
    return (uint8_t *)(uintptr_t)ptr;
}

static err_t pack(const struct shape *shape, const void *ours, struct secret *out)
{
    union message message;
    protobuf_c_message_init(shape->descriptor, &message);
    for (size_t i = 0; i < shape->count; i++) {
        const struct field *field = &shape->fields[i];
        const struct span *from = (const void *)((const uint8_t *)ours + field->ours);
        ProtobufCBinaryData *to = (void *)((uint8_t *)&message + field->theirs);
        *to = (ProtobufCBinaryData){.len = from->len, .data = without_const(from->ptr)};
    }
    size_t used = secret_view(out).len;
    size_t size = protobuf_c_message_get_packed_size(&message.base);
    if (size > secret_cap(out) - used) {
        return FAIL(E_LIMIT, "message does not fit into its buffer");
    }
    (void)protobuf_c_message_pack(&message.base, secret_room(out).ptr + used);
    secret_set_len(out, used + size);
    return OK;
}

err_t codec_unpack_request(enum codec_method method, struct span bytes,
                           struct codec_request *ret_request)
{
    struct codec_request request = {0};
    TRY(unpack_checked(&request_shapes[method], bytes, &request, &request.owner));
    *ret_request = request;
    return OK;
}

void codec_request_done(struct codec_request *request)
{
    release(request->owner);
    *request = (struct codec_request){0};
}

err_t codec_pack_response(enum codec_method method, const struct codec_response *response,
                          struct secret *out)
{
    return pack(&response_shapes[method], response, out);
}

err_t codec_pack_request(enum codec_method method, const struct codec_request *request,
                         struct secret *out)
{
    return pack(&request_shapes[method], request, out);
}

err_t codec_unpack_response(enum codec_method method, struct span bytes,
                            struct codec_response *ret_response)
{
    struct codec_response response = {0};
    TRY(unpack_checked(&response_shapes[method], bytes, &response, &response.owner));
    *ret_response = response;
    return OK;
}

void codec_response_done(struct codec_response *response)
{
    release(response->owner);
    *response = (struct codec_response){0};
}
