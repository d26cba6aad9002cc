/*
 * service: what Status, Encrypt, Decrypt and Version mean, for KMS v2 and v1. Validates, asks the
 * store, answers. The only door of this room for grpc; front/main builds it. One thread, never
 * blocks.
 *
 *   grpc → service_handle → codec → store → seal/open → codec → back by value
 *   a miss: service_handle returns SERVICE_PENDING, and later service_events.on_reply gives the
 * answer
 */
#ifndef SERVER_KMS_SERVICE_H
#define SERVER_KMS_SERVICE_H

#include <stdbool.h>
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

enum service_outcome { SERVICE_DONE, SERVICE_PENDING };

struct service_events {
    void *ctx;
    /* The answer to a pending call, exactly once unless it was cancelled. Takes reply->body. */
    void (*on_reply)(void *ctx, struct ticket ticket, struct service_reply *reply);
};

struct service;

/* DONE: *ret_reply is filled. PENDING: untouched, on_reply comes later. */
enum service_outcome service_handle(struct service *service, const struct service_call *call,
                                    struct service_reply *ret_reply);

/* The bounds that a peer can reach; what a bound is, its room knows. */
enum service_limit {
    SERVICE_LIMIT_CONNECTIONS, /* all are taken, and one more peer waits */
    SERVICE_LIMIT_CALLS,       /* a call was refused for want of one in flight */
    SERVICE_LIMIT_WAITING,     /* a call was refused for want of a place or of memory to wait in */
    SERVICE_LIMITS
};
/* It bites now: counted, said once, and named in the mend until it has not bitten for a minute. */
void service_limit_bites(struct service *service, enum service_limit limit);

/* The stream is gone or its deadline passed (grpc answered it): forget the call. */
void service_cancel(struct service *service, struct ticket ticket);

#endif
