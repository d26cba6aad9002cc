/*
 * codec: protobuf bytes ↔ our structs, for KMS v2 and v1 and both directions. The only includer of
 * the generated code; its allocator is the SECRET_PROTO part of the arena, so an oversized message
 * is refused there. Strings of the protocol are checked here: length, NUL, UTF-8.
 */
#ifndef PROTO_CODEC_H
#define PROTO_CODEC_H

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/span.h"

enum codec_method {
    CODEC_V2_STATUS,
    CODEC_V2_ENCRYPT,
    CODEC_V2_DECRYPT,
    CODEC_V1_VERSION,
    CODEC_V1_ENCRYPT,
    CODEC_V1_DECRYPT,
    CODEC_METHODS
};

#define CODEC_TEXT_MAX 1024u /* bytes of key_id, uid is cut at its own limit by the service */

/* ":path" of the method, for example "/v2.KeyManagementService/Status". */
const char *codec_path(enum codec_method method);

struct codec_request {
    struct span payload; /* plaintext (Encrypt) or ciphertext (Decrypt); may be empty */
    struct span key_id;  /* v2 Decrypt */
    struct span uid;     /* v2 */
    struct span version; /* v1 */
    void *owner;         /* internal */
};

struct codec_response {
    struct span version;
    struct span healthz;
    struct span key_id;
    struct span payload; /* ciphertext (Encrypt) or plaintext (Decrypt) */
    struct span runtime_name;
    struct span runtime_version;
    void *owner; /* internal; unpacked ones only */
};

/*
 * The spans lie in the arena and live until codec_request_done. E_PROTOCOL: not this message.
 * E_INVALID: a string with NUL or broken UTF-8. E_LIMIT: the arena part is used up. Annotations are
 * parsed and dropped.
 */
MUST_USE err_t codec_unpack_request(enum codec_method method, struct span bytes,
                                    struct codec_request *ret_request);
void codec_request_done(struct codec_request *request);
/* Appends the message to out. E_LIMIT when it does not fit. */
MUST_USE err_t codec_pack_response(enum codec_method method, const struct codec_response *response,
                                   struct secret *out);

/* The client's side, for p11-kmsctl and the bench. */
MUST_USE err_t codec_pack_request(enum codec_method method, const struct codec_request *request,
                                  struct secret *out);
MUST_USE err_t codec_unpack_response(enum codec_method method, struct span bytes,
                                     struct codec_response *ret_response);
void codec_response_done(struct codec_response *response);

#endif
