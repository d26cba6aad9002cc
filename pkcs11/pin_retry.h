/* pin_retry: when a login that failed or was not made is worth another look. */
#ifndef PKCS11_PIN_RETRY_H
#define PKCS11_PIN_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "pkcs11/find.h"
#include "pkcs11/pin_login.h"

/*
 * Asked while latched: is there a reason to try again? Reads the PIN file's looks, record and
 * flags.
 */
bool pin_retry_due(const struct pin_guard *guard, const struct session *session, int64_t now_ms);

#endif
