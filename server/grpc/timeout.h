/* timeout: the value of grpc-timeout, 1 to 8 digits and one of H M S m u n. */
#ifndef SERVER_GRPC_TIMEOUT_H
#define SERVER_GRPC_TIMEOUT_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* Rounded up to milliseconds: a call never expires before its client gives up. E_PROTOCOL. */
MUST_USE err_t grpc_timeout_parse(struct span value, int64_t *ret_ms);

#endif
