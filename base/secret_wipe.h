/*
 * secret_wipe: the only wipe: cannot be optimised away. Of the arena, and of short-lived plain
 * memory such as a PIN's read buffer.
 */
#ifndef BASE_SECRET_WIPE_H
#define BASE_SECRET_WIPE_H

#include <stddef.h>

void secret_wipe(void *ptr, size_t len);

#endif
