/* make: one object of a new KEK, by the rules of its kind. */
#ifndef PKCS11_MAKE_H
#define PKCS11_MAKE_H

#include "pkcs11/wrap.h"

/*
 * C_GenerateKey of a secret key on the token. E_TOKEN. E_PROTOCOL: made, but under a handle that is
 * none.
 */
MUST_USE err_t make_secret_key(const struct session *session, CK_MECHANISM_TYPE mechanism,
                               const struct wrap_object *object, const struct wrap_new *what,
                               CK_OBJECT_HANDLE *ret_handle);

#endif
