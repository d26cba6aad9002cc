/*
 * service: what Status, Encrypt, Decrypt and Version mean, for KMS v2 and v1. Validates, asks the
 * store, answers. The only door of this room for grpc; front/main builds it. One thread, never
 * blocks.
 *
 *   grpc → service_handle → codec → store → seal/open → codec → back by value
 *   a miss: service_handle returns SERVICE_PENDING, and service_events.on_reply answers later
 */
#ifndef SERVER_KMS_SERVICE_H
#define SERVER_KMS_SERVICE_H

#include "base/ticket.h"
#include "server/kms/call.h"
#include "server/kms/limits.h"

enum service_outcome { SERVICE_DONE, SERVICE_PENDING };

struct service;

/* DONE: *ret_reply is filled. PENDING: untouched, on_reply comes later. */
enum service_outcome service_handle(struct service *service, const struct service_call *call,
                                    struct service_reply *ret_reply);

/* It bites now: counted, said once, and named in the mend until it has not bitten for a minute. */
void service_limit_bites(struct service *service, enum limit limit);

/* The stream is gone or its deadline passed (grpc answered it): forget the call. */
void service_cancel(struct service *service, struct ticket ticket);

#endif
