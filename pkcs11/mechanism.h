/* mechanism: what a token must be able to do before a KEK of a scheme is made on it. */
#ifndef PKCS11_MECHANISM_H
#define PKCS11_MECHANISM_H

#include "base/err.h"
#include "pkcs11/wrap.h"

/*
 * Asks C_GetMechanismInfo; a module that has no such function is taken at its calls. E_UNSUPPORTED:
 * one is missing, its enum ipc_mechanism is the detail. E_TOKEN: the module cannot say now.
 */
MUST_USE err_t mechanism_check(const struct session *session, const struct wrap_scheme *scheme);

#endif
