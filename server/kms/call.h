/*
 * call: one RPC of a client, as grpc hands it to this room and as it gets the answer. (What the
 * token is asked on its behalf is a request: token/client.h.)
 */
#ifndef SERVER_KMS_CALL_H
#define SERVER_KMS_CALL_H

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"
#include "base/ticket.h"
#include "proto/codec.h"

/*
 * How the client addressed us: KMS plugins of Kubernetes ≤ 1.28 are known by it (status_version:
 * auto).
 */
enum service_authority {
    SERVICE_AUTHORITY_OTHER,
    SERVICE_AUTHORITY_PATH,     /* begins with '/' */
    SERVICE_AUTHORITY_ABSTRACT, /* begins with '@' */
};

struct service_call {
    enum codec_method method;
    struct ticket ticket;
    int64_t deadline_ms; /* CLOCK_MONOTONIC; INT64_MAX when the client gave none */
    enum service_authority authority;
    struct span body; /* the protobuf message; borrowed for the time of service_handle */
};

struct service_reply {
    err_t err;            /* E_NONE: body is the message. grpc/status maps the class to a code. */
    char text[200];       /* public text when err is set: no secret, no path of key material */
    struct secret *body;  /* the caller's from now on; NULL when err is set */
};

struct service_events {
    void *ctx;
    /* The answer to a pending call, exactly once unless it was cancelled. Takes reply->body. */
    void (*on_reply)(void *ctx, struct ticket ticket, struct service_reply *reply);
};

#endif
