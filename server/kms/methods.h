/*
 * methods: what each RPC checks, asks of the store and answers. No waiting and no words about
 * errors: that is service.c.
 */
#ifndef SERVER_KMS_METHODS_H
#define SERVER_KMS_METHODS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "proto/codec.h"
#include "server/kms/calls.h"
#include "server/kms/store.h"

#define METHODS_REPLY_MAX 2048u

/*
 * Checks the request and notes in the call what is needed later; call->payload borrows from the
 * request.
 */
MUST_USE err_t methods_take(const struct store *store, const struct codec_request *request,
                            struct call *call);
/*
 * Appends the response to body. OK with call->wait set: not yet, and body is empty. `last`: it may
 * wait no longer.
 */
MUST_USE err_t methods_run(struct store *store, struct call *call, bool last, struct secret *body);

#endif
