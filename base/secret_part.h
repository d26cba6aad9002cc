/* secret_part: what secret.c shows of its heap parts to secret_crypto.c alone. */
#ifndef BASE_SECRET_PART_H
#define BASE_SECRET_PART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/secret.h"

/* True when ptr lies in this part. */
bool secret_part_owns(enum secret_part which, const void *ptr);
/* Bytes asked for by the secret_alloc that returned ptr. */
size_t secret_part_size(enum secret_part which, const void *ptr);

#endif
