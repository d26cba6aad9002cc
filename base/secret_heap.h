/*
 * secret_heap: a buddy allocator over a locked range, for libraries that allocate in all sizes.
 * Everything it remembers lies outside the range, so freed space is all zero and an overflow cannot
 * reach its books. Not thread safe: secret holds the lock. Sizes are bytes; blocks are powers of
 * two from HEAP_MIN up.
 */
#ifndef BASE_SECRET_HEAP_H
#define BASE_SECRET_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HEAP_MIN    32u
#define HEAP_ORDERS 18u /* 32 B << 17 = 4 MiB at most */

struct secret_heap {
    uint8_t *base;
    size_t size;
    unsigned orders;              /* orders in use: the top one is the whole range */
    uint64_t *free[HEAP_ORDERS];  /* a bit a block: free at this order */
    size_t free_count[HEAP_ORDERS];
    size_t hint[HEAP_ORDERS];     /* word where the last free bit was met */
    /* per HEAP_MIN unit: order + 1 of the block that starts there, 0 none */
    uint8_t *order_of;
    uint32_t *size_of;            /* per HEAP_MIN unit: bytes asked for */
    size_t used;
    size_t peak;
};

/* size is a power of two between HEAP_MIN and 4 MiB, base zeroed. E_SYSTEM when out of memory. */
MUST_USE err_t secret_heap_init(struct secret_heap *heap, uint8_t *base, size_t size);
void secret_heap_done(struct secret_heap *heap);

/* NULL when it does not fit. */
void *secret_heap_alloc(struct secret_heap *heap, size_t size);
/* Wipes the block. ptr must come from secret_heap_alloc: anything else aborts. */
void secret_heap_free(struct secret_heap *heap, void *ptr);
/* Bytes asked for at allocation. */
size_t secret_heap_size(const struct secret_heap *heap, const void *ptr);
bool secret_heap_owns(const struct secret_heap *heap, const void *ptr);
bool secret_heap_free_is_zero(const struct secret_heap *heap);

#endif
