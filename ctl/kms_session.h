/*
 * kms_session: HTTP/2 with a KMS plugin, blocking, one exchange at a time: a body goes, a body and
 * the status of gRPC come. Knows no messages. What goes and comes lies in the arena.
 */
#ifndef CTL_KMS_SESSION_H
#define CTL_KMS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/span.h"

#define KMS_NO_STATUS UINT32_MAX

struct kms_session;

/* Of one exchange, beside the body. */
struct kms_heard {
    unsigned http_status; /* KMS_NO_STATUS: none, or no number */
    unsigned grpc_status; /* the same */
    bool overflow;        /* the body was longer than the room for it */
    char message[512];    /* grpc-message, decoded, as span_to_text shows it */
};

/* As kms_connect. */
MUST_USE err_t kms_session_open(const char *socket_name, int timeout_ms,
                                struct kms_session **ret_session);
void kms_session_close(struct kms_session *session);
DEFINE_CLEANUP(struct kms_session *, kms_session_close)

/*
 * `response` is filled anew. E_UNAVAILABLE: the connection is gone. E_DEADLINE: no answer in time.
 * E_PROTOCOL: no HTTP/2.
 */
MUST_USE err_t kms_session_exchange(struct kms_session *session, const char *path,
                                    struct span request, int timeout_ms, struct secret *response,
                                    struct kms_heard *ret_heard);

#endif
