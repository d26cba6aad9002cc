/*
 * kms_client: a blocking gRPC client of one call at a time over a unix socket, as an API server
 * would call. Request and reply bodies lie in the arena (SECRET_2KIB).
 */
#ifndef CTL_KMS_CLIENT_H
#define CTL_KMS_CLIENT_H

#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "proto/codec.h"

#define KMS_CLIENT_BODY_MAX SECRET_2KIB_BYTES /* of a request, and of a response */

struct kms_client;

struct kms_answer {
    unsigned grpc_status; /* 0: the response is there */
    char message[512];    /* grpc-message, decoded, as span_to_text shows it */
    struct codec_response response;
    int64_t took_us;
};

/*
 * socket: a path, or "@name" for an abstract one. E_UNAVAILABLE: nobody listens. E_DEADLINE: the
 * server had no room for one more in its queue.
 */
MUST_USE err_t kms_client_open(const char *socket, int timeout_ms, struct kms_client **ret_client);
void kms_client_close(struct kms_client *client);
DEFINE_CLEANUP(struct kms_client *, kms_client_close)

/*
 * E_UNAVAILABLE: the connection is gone. E_DEADLINE: no answer in time. E_PROTOCOL: no gRPC answer.
 * An error that the server answers is OK here, with its grpc_status.
 */
MUST_USE err_t kms_client_call(struct kms_client *client, enum codec_method method,
                               const struct codec_request *request, int timeout_ms,
                               struct kms_answer *ret_answer);
void kms_answer_done(struct kms_answer *answer);

#endif
