/*
 * unread: keys that the last listing could not read. Each may be the one that somebody looks for.
 */
#ifndef SERVER_KMS_UNREAD_H
#define SERVER_KMS_UNREAD_H

#include <stdbool.h>
#include <stddef.h>

#include "token/ipc.h"

struct unread {
    bool any;       /* in the last listing of all keys, those outside of the ring included */
    char text[128]; /* one of this ring, or that may be: "p11k:... (CK_RV 0x30)"; empty: none */
};

/* A complete listing; `all`: it holds other AES keys too. */
void unread_take(struct unread *unread, const struct ipc_key *keys, size_t n, const char *ring,
                 bool all);

#endif
