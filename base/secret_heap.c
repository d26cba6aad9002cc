#include "base/secret_heap.h"

#include <stdlib.h>

#include "base/poison.h"
#include "base/secret_wipe.h"

#define WORD_BITS 64u

static size_t block_bytes(unsigned order)
{
    return (size_t)HEAP_MIN << order;
}

static size_t blocks_at(const struct secret_heap *heap, unsigned order)
{
    return heap->size / block_bytes(order);
}

static size_t words_at(const struct secret_heap *heap, unsigned order)
{
    return (blocks_at(heap, order) + WORD_BITS - 1) / WORD_BITS;
}

static bool is_free(const struct secret_heap *heap, unsigned order, size_t block)
{
    return (heap->free[order][block / WORD_BITS] >> (block % WORD_BITS) & 1) != 0;
}

static void mark_free(struct secret_heap *heap, unsigned order, size_t block)
{
    heap->free[order][block / WORD_BITS] |= (uint64_t)1 << (block % WORD_BITS);
    heap->hint[order] = block / WORD_BITS;
    heap->free_count[order]++;
}

static void mark_taken(struct secret_heap *heap, unsigned order, size_t block)
{
    heap->free[order][block / WORD_BITS] &= ~((uint64_t)1 << (block % WORD_BITS));
    heap->free_count[order]--;
}

static unsigned order_for(size_t size)
{
    unsigned order = 0;
    while (order < HEAP_ORDERS && block_bytes(order) < size) {
        order++;
    }
    return order;
}

/* A free block of this order; the caller knows that there is one. */
static size_t find_free(const struct secret_heap *heap, unsigned order)
{
    size_t words = words_at(heap, order);
    for (size_t i = 0; i < words; i++) {
        size_t word = (heap->hint[order] + i) % words;
        uint64_t bits = heap->free[order][word];
        if (bits != 0) {
            return word * WORD_BITS + (size_t)__builtin_ctzll(bits);
        }
    }
    abort(); /* free_count said otherwise: our books are broken */
}

err_t secret_heap_init(struct secret_heap *heap, uint8_t *base, size_t size)
{
    unsigned top = order_for(size);
    if (top >= HEAP_ORDERS || block_bytes(top) != size) {
        return FAIL(E_BUG, "heap part is not a power of two up to 4 MiB");
    }
    *heap = (struct secret_heap){.base = base, .size = size, .orders = top + 1};
    heap->order_of = calloc(size / HEAP_MIN, sizeof(*heap->order_of));
    heap->size_of = calloc(size / HEAP_MIN, sizeof(*heap->size_of));
    bool complete = heap->order_of != NULL && heap->size_of != NULL;
    for (unsigned order = 0; order < heap->orders; order++) {
        heap->free[order] = calloc(words_at(heap, order), sizeof(uint64_t));
        complete = complete && heap->free[order] != NULL;
    }
    if (!complete) {
        secret_heap_done(heap);
        return FAIL_ERRNO("cannot allocate the books of the locked heap");
    }
    mark_free(heap, top, 0);
    POISON(base, size);
    return OK;
}

void secret_heap_done(struct secret_heap *heap)
{
    if (heap->base != NULL) {
        UNPOISON(heap->base, heap->size);
    }
    free(heap->order_of);
    free(heap->size_of);
    for (unsigned order = 0; order < HEAP_ORDERS; order++) {
        free(heap->free[order]);
    }
    *heap = (struct secret_heap){0};
}

void *secret_heap_alloc(struct secret_heap *heap, size_t size)
{
    unsigned want = order_for(size);
    unsigned order = want;
    while (order < heap->orders && heap->free_count[order] == 0) {
        order++;
    }
    if (order >= heap->orders) {
        return NULL;
    }
    size_t block = find_free(heap, order);
    mark_taken(heap, order, block);
    while (order > want) {
        order--;
        block *= 2;
        mark_free(heap, order, block + 1);
    }
    size_t unit = block << want;
    heap->order_of[unit] = (uint8_t)(want + 1);
    heap->size_of[unit] = (uint32_t)size;
    heap->used += block_bytes(want);
    heap->peak = heap->used > heap->peak ? heap->used : heap->peak;
    uint8_t *ptr = heap->base + unit * HEAP_MIN;
    UNPOISON(ptr, size);
    return ptr;
}

static size_t unit_of(const struct secret_heap *heap, const void *ptr)
{
    size_t offset = (size_t)((const uint8_t *)ptr - heap->base);
    if (!secret_heap_owns(heap, ptr) || offset % HEAP_MIN != 0 ||
        heap->order_of[offset / HEAP_MIN] == 0) {
        abort(); /* double free or a foreign pointer: never go on with secrets at stake */
    }
    return offset / HEAP_MIN;
}

void secret_heap_free(struct secret_heap *heap, void *ptr)
{
    size_t unit = unit_of(heap, ptr);
    unsigned order = heap->order_of[unit] - 1u;
    secret_wipe(ptr, heap->size_of[unit]);
    POISON(ptr, block_bytes(order));
    heap->order_of[unit] = 0;
    heap->used -= block_bytes(order);
    size_t block = unit >> order;
    while (order + 1 < heap->orders && is_free(heap, order, block ^ 1u)) {
        mark_taken(heap, order, block ^ 1u);
        block /= 2;
        order++;
    }
    mark_free(heap, order, block);
}

size_t secret_heap_size(const struct secret_heap *heap, const void *ptr)
{
    return heap->size_of[unit_of(heap, ptr)];
}

bool secret_heap_owns(const struct secret_heap *heap, const void *ptr)
{
    const uint8_t *p = ptr;
    return heap->base != NULL && p >= heap->base && p < heap->base + heap->size;
}

static bool block_is_zero(const struct secret_heap *heap, unsigned order, size_t block)
{
    const uint8_t *from = heap->base + block * block_bytes(order);
    size_t size = block_bytes(order);
    bool zero = true;
    UNPOISON(from, size);
    for (size_t i = 0; i < size && zero; i++) {
        zero = from[i] == 0;
    }
    POISON(from, size);
    return zero;
}

bool secret_heap_free_is_zero(const struct secret_heap *heap)
{
    for (unsigned order = 0; order < heap->orders; order++) {
        for (size_t block = 0; block < blocks_at(heap, order); block++) {
            if (is_free(heap, order, block) && !block_is_zero(heap, order, block)) {
                return false;
            }
        }
    }
    return true;
}
