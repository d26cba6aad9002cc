/* pin_read: one file's PIN, after every check that can be made before the token is asked. */
#ifndef PKCS11_PIN_READ_H
#define PKCS11_PIN_READ_H

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "pkcs11/pin_record.h"

/*
 * Reads the PIN into the arena, and says which file it is. A regular file, not a link, owned by
 * root or us, no access for group or others (a credential of root's may be open to its group); one
 * line end is cut, and the rest is checked by pin_content. E_SYSTEM or E_INVALID, err.what says
 * why.
 */
MUST_USE err_t pin_read(const char *path, bool credential, struct secret **ret_pin,
                        struct pin_source *ret_source);

#endif
