/* crypt: the IPC_WRAP and IPC_UNWRAP verbs with their recovery: a new session, the key looked for again. */
#ifndef PKCS11_CRYPT_H
#define PKCS11_CRYPT_H

#include "base/err.h"
#include "base/span.h"
#include "pkcs11/find.h"
#include "pkcs11/ipc.h"

/*
 * out: room in the arena for the result. E_INVALID: this blob never opens; E_NOT_FOUND: no such key;
 * E_TOKEN; E_UNSUPPORTED: this scheme, or this token's AES-GCM.
 */
MUST_USE err_t crypt_do(struct session *session, enum ipc_verb verb, const struct ipc_crypt *ask,
                        struct span data, struct span_mut out, size_t *ret_len);

#endif
