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
#include "server/kms/call.h"
#include "server/kms/store.h"

/*
 * Checks the request and notes in the call what is needed later; call->payload borrows from the
 * request.
 */
MUST_USE err_t methods_take(const struct store *store, const struct codec_request *request,
                            struct call *call);
/*
 * The response, the caller's. OK with call->wait set: not yet, and *ret_body is untouched. `last`:
 * it may wait no longer.
 */
MUST_USE err_t methods_run(struct store *store, struct call *call, bool last,
                           struct secret **ret_body);

#endif
