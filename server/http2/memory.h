/* memory: the allocator that nghttp2 is given. Ordinary heap, but what it frees is wiped. */
#ifndef SERVER_HTTP2_MEMORY_H
#define SERVER_HTTP2_MEMORY_H

#include <stddef.h>

/* The four functions of an nghttp2_mem; `unused` is its user data. */
void *h2_memory_malloc(size_t size, void *unused);
void h2_memory_free(void *ptr, void *unused);
void *h2_memory_calloc(size_t count, size_t size, void *unused);
void *h2_memory_realloc(void *ptr, size_t size, void *unused);

#endif
