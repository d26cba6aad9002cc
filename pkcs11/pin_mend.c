#include "pkcs11/pin_mend.h"

#include "pkcs11/rv.h"

static const char *mend_of_failed(bool credential)
{
    if (credential) {
        return "the token refused this PIN before: correct the credential and restart the "
               "service, or run p11-kmsctl pin-retry";
    }
    return "the token refused this PIN before: correct the PIN, or run p11-kmsctl pin-retry";
}

const char *pin_mend(enum pin_decision decision, bool credential)
{
    switch (decision) {
    case PIN_TRY: break;
    case PIN_STOP_FAILED: return mend_of_failed(credential);
    case PIN_STOP_FAILED_ANY:
        return "the token refused a PIN, and the daemon was killed before it had noted which: "
               "check the PIN, then run p11-kmsctl pin-retry";
    case PIN_STOP_CUT:
        return "two logins were cut short before any PIN had succeeded here, and what the token "
               "said is not known: check the PIN, then run p11-kmsctl pin-retry";
    case PIN_STOP_ERRORS:
        return "five logins ended in an error of the token before any PIN had succeeded here: mend"
               " the token and check the PIN, then run p11-kmsctl pin-retry";
    case PIN_STOP_LOCKED: return "the token's user PIN is locked: unlock it with its vendor's tool";
    case PIN_STOP_LOW:
        return "the token counts wrong PINs, and this PIN has not succeeded here since it was put "
               "in place: check it, then run p11-kmsctl pin-retry";
    case PIN_STOP_FINAL:
        return "the token has one try left, and the last login was cut short: check the PIN, then "
               "run p11-kmsctl pin-retry";
    case PIN_STOP_LENGTH:
        return "the PIN is shorter or longer than the token says that it takes, and is not sent: "
               "correct the PIN, or run p11-kmsctl pin-retry to send it all the same";
    case PIN_STOP_FULL:
        return "too many wrong PINs are remembered: check the PIN, then run p11-kmsctl pin-retry";
    case PIN_STOP_UNREADABLE:
        return "the token's PIN flags cannot be read: they are asked for again";
    case PIN_STOP_WAIT:
        return "the last logins were cut short or ended in an error of the token: the PIN is tried"
               " again by itself, within an hour at most; to try it now, run p11-kmsctl pin-retry";
    }
    return "";
}

const char *pin_mend_refused(CK_RV rv, bool credential)
{
    if (rv_is_pin_locked(rv)) {
        return "the token answered that its user PIN is locked: unlock it with its vendor's tool, "
               "then run p11-kmsctl pin-retry";
    }
    if (rv_is_pin_expired(rv)) {
        return "the token answered that its user PIN has expired: set a new one with its vendor's "
               "tool, and put it in place of the old";
    }
    if (credential) {
        return "the token refused the PIN: correct the credential and restart the service (it is "
               "not tried again unchanged), or run p11-kmsctl pin-retry";
    }
    return "the token refused the PIN: correct it (it is not tried again unchanged), or run "
           "p11-kmsctl pin-retry";
}
