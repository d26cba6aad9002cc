/* freed: whether a block was empty when it was given back. For tests linked with --wrap=free. */
#ifndef TESTS_KIT_FREED_H
#define TESTS_KIT_FREED_H

#include <stddef.h>

/*
 * Watches these bytes, which begin 16 after those that free() is called with. One block at a time.
 */
void freed_watch(const void *ptr, size_t len);
/*
 * Bytes that were not zero in the watched block when it was freed; (size_t)-1: it has not been
 * freed.
 */
size_t freed_bytes_left(void);

#endif
