/*
 * rv: what a CK_RV means for us. The only place that lists CKR codes; everybody else knows CKR_OK
 * and these classes. Modules return whatever they like, so a class is a first guess: what to do
 * also depends on the call and on what worked a moment ago.
 */
#ifndef PKCS11_RV_H
#define PKCS11_RV_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

#include "base/err.h"

enum rv_class {
    RV_FINE,
    RV_DATA,    /* this blob never opens */
    RV_SESSION, /* the session is spoilt or gone: open a new one */
    RV_HANDLE,  /* the key's handle is no longer good: look for the key again */
    RV_BUSY,    /* back-pressure */
    RV_LOST,    /* token, module or login gone: only a fresh process helps */
    RV_PIN,     /* the PIN is wrong, locked or expired: never try it again */
    RV_FAULT,   /* key or configuration fault, permanent */
    RV_OUTAGE   /* says nothing (CKR_GENERAL_ERROR and its like): a canary tells data from outage */
};

enum rv_class rv_class(CK_RV rv);
/* "CKR_GENERAL_ERROR", ...; "CKR_VENDOR_DEFINED" for a vendor's, "unknown CK_RV" otherwise. */
const char *rv_name(CK_RV rv);

/* The object has no such attribute. */
bool rv_is_no_attribute(CK_RV rv);
/* A template was refused: the same without the attribute in doubt may be accepted. */
bool rv_is_template_refused(CK_RV rv);
/* The token does not do this mechanism; the module does not have this function. */
bool rv_is_no_mechanism(CK_RV rv);
bool rv_is_no_function(CK_RV rv);
/* C_Initialize or C_Login had been done before. */
bool rv_is_already(CK_RV rv);
/* What a correct PIN would not help. */
bool rv_is_pin_locked(CK_RV rv);
bool rv_is_pin_expired(CK_RV rv);

/* CKR_OK is OK, anything else E_TOKEN with the code as detail. `what` is a literal. */
#define RV_TRY(call_, what_)                                                                       \
    do {                                                                                           \
        CK_RV rv_try_ = (call_);                                                                   \
        if (rv_try_ != CKR_OK) {                                                                   \
            return FAIL_DETAIL(E_TOKEN, rv_try_, what_);                                           \
        }                                                                                          \
    } while (0)

/* The class behind an E_TOKEN error; RV_FINE for every other error. */
enum rv_class rv_class_of(err_t err);
/* True when it is what this function of the module returned: RV_TRY names the call. */
bool rv_is_of(err_t err, const char *function);
/* May pass by itself: worth another try at once. */
bool rv_may_pass(err_t err);

#endif
