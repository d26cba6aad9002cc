#include "server/http2/memory.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/secret.h"
#include "base/span.h"

/* In front of each block: its size, for free to know how much to wipe. Keeps malloc's alignment. */
#define HEAD 16u

static size_t size_of(const void *ptr)
{
    size_t size = 0;
    span_move(&size, (const uint8_t *)ptr - HEAD, sizeof(size));
    return size;
}

static void *with_head(uint8_t *raw, size_t size)
{
    if (raw == NULL) {
        return NULL;
    }
    span_move(raw, &size, sizeof(size));
    return raw + HEAD;
}

void *h2_memory_malloc(size_t size, void *unused)
{
    (void)unused;
    return size > SIZE_MAX - HEAD ? NULL : with_head(malloc(size + HEAD), size);
}

void h2_memory_free(void *ptr, void *unused)
{
    (void)unused;
    if (ptr != NULL) {
        secret_wipe(ptr, size_of(ptr));
        free((uint8_t *)ptr - HEAD);
    }
}

void *h2_memory_calloc(size_t count, size_t size, void *unused)
{
    (void)unused;
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - HEAD) {
        return NULL;
    }
    return with_head(calloc(1, bytes + HEAD), bytes);
}

void *h2_memory_realloc(void *ptr, size_t size, void *unused)
{
    void *fresh = h2_memory_malloc(size, unused);
    if (fresh == NULL || ptr == NULL) {
        return fresh;
    }
    size_t old = size_of(ptr);
    span_move(fresh, ptr, old < size ? old : size);
    h2_memory_free(ptr, unused);
    return fresh;
}
