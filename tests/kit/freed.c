#include "tests/kit/freed.h"

#include <stdbool.h>
#include <stdint.h>

static const uint8_t *watched;
static size_t watched_len;
static size_t bytes_left;

void __real_free(void *ptr);
void __wrap_free(void *ptr);
void __wrap_free(void *ptr)
{
    bool is_it = watched != NULL && (const uint8_t *)ptr + 16 == watched;
    for (size_t i = 0; is_it && i < watched_len; i++) {
        bytes_left += watched[i] != 0 ? 1 : 0;
    }
    watched = is_it ? NULL : watched;
    __real_free(ptr);
}

void freed_watch(const void *ptr, size_t len)
{
    watched = ptr;
    watched_len = len;
    bytes_left = 0;
}

size_t freed_bytes_left(void)
{
    return watched == NULL ? bytes_left : (size_t)-1;
}
