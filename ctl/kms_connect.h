/* kms_connect: a connection to the unix socket of a KMS plugin. */
#ifndef CTL_KMS_CONNECT_H
#define CTL_KMS_CONNECT_H

#include "base/err.h"

/*
 * socket_name: a path, or "@name" for an abstract one. E_UNAVAILABLE: nobody listens, or we may
 * not. E_DEADLINE: the server had no room for one more in its queue. E_INVALID: the name.
 */
MUST_USE err_t kms_connect(const char *socket_name, int timeout_ms, int *ret_fd);

#endif
