/*
 * directory: how the token finds the key that a kek_id names. Entries are only added: a name is
 * bound to the key's value, so an entry can go stale but never wrong, and the token checks it at
 * each use.
 */
#ifndef SERVER_KMS_DIRECTORY_H
#define SERVER_KMS_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>

#include "keys/envelope.h"
#include "token/ipc.h"

#define DIRECTORY_MAX 2048u

struct directory {
    struct {
        uint8_t kek_id[KEK_ID_LEN];
        struct ipc_key_ref ref;
    } entries[DIRECTORY_MAX];
    size_t n;
    size_t next; /* entry that goes next when all are taken */
};

/* Adds every key of a listing whose fingerprint is known. */
void directory_take(struct directory *directory, const struct ipc_key *keys, size_t n);
/* NULL: unknown. Valid until the next take. */
const struct ipc_key_ref *directory_find(const struct directory *directory,
                                         const uint8_t kek_id[KEK_ID_LEN]);

#endif
