/* methods: which paths are served. */
#ifndef SERVER_GRPC_METHODS_H
#define SERVER_GRPC_METHODS_H

#include "base/err.h"
#include "base/span.h"
#include "proto/codec.h"

/* E_UNSUPPORTED: no such method. The path is compared byte by byte. */
MUST_USE err_t grpc_method_find(struct span path, enum codec_method *ret_method);

#endif
