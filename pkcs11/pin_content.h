/*
 * pin_content: what a PIN file may hold. A byte that came along unseen would cost a try of the
 * token. Pure.
 */
#ifndef PKCS11_PIN_CONTENT_H
#define PKCS11_PIN_CONTENT_H

#include "base/err.h"
#include "base/span.h"

/*
 * Refuses what no PIN is likely to hold: control characters, a byte order mark, blanks at its ends.
 * E_INVALID, err.what names it.
 */
MUST_USE err_t pin_content_check(struct span pin);

#endif
