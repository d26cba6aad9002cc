/*
 * generate: the IPC_GENERATE verb, a new KEK. Called again with the same id it finds what it made.
 */
#ifndef PKCS11_GENERATE_H
#define PKCS11_GENERATE_H

#include "base/err.h"
#include "pkcs11/session.h"
#include "token/ipc.h"

/* The two times of a new key. */
struct generate_times {
    uint32_t not_before;
    uint32_t created;
};

/*
 * created = now, or created_s when that is later; not_before as asked, or the later of created and
 * floor_s. E_STATE: less notice than asked would be left, or it lies before created. E_INVALID: now
 * is not a time that a label can hold.
 */
MUST_USE err_t generate_times(const struct ipc_generate *ask, int64_t now_s,
                              struct generate_times *ret_times);

/*
 * E_STATE as above; E_TOKEN; E_UNSUPPORTED with a detail: as of mechanism.h, nothing was made;
 * without: the token did not keep the label.
 */
MUST_USE err_t generate_key(const struct session *session, const struct ipc_generate *ask,
                            struct ipc_key *ret_key);

#endif
