/* pin_mend: what an operator is told to do about a PIN. */
#ifndef PKCS11_PIN_MEND_H
#define PKCS11_PIN_MEND_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

#include "pkcs11/pin_record.h"

/* Of one that is not tried. */
const char *pin_mend(enum pin_decision decision, bool credential);
/* Of one that the token has just refused, with this answer of C_Login. */
const char *pin_mend_refused(CK_RV rv, bool credential);

#endif
