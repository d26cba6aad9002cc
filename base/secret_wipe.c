#define _GNU_SOURCE
#include "base/secret_wipe.h"

#include <string.h>

void secret_wipe(void *ptr, size_t len)
{
    explicit_bzero(ptr, len);
}
