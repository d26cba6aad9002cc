/* list: the IPC_LIST verb, and the look for one key that a call names. */
#ifndef PKCS11_LIST_H
#define PKCS11_LIST_H

#include <stddef.h>

#include "base/err.h"
#include "pkcs11/key.h"

struct listing {
    struct ipc_key *keys; /* malloc'ed, the caller's */
    size_t n;
};

/*
 * All keys that are asked for, or an error: never a part. A listing in which a key is missing that
 * this process had seen ends the process. One at a time over all threads.
 */
MUST_USE err_t list_keys(const struct session *session, const struct ipc_list *ask,
                         struct listing *ret_listing);
void listing_free(struct listing *listing);

/*
 * The key of this name, from the table or looked for by its id; its fingerprint has been compared.
 * E_NOT_FOUND: it is not on the token, and never was in the life of this process.
 */
MUST_USE err_t list_find(const struct session *session, const struct ipc_key_ref *ref,
                         struct key *ret_key);

#endif
