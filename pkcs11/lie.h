/*
 * lie: a number from the module that cannot be true: a count past the room it was given, a handle
 * that is none, a flag of three bytes. Nothing was learnt from that call, so it is a failure like
 * an outage and never an answer. Each kind is logged with its number, once a minute.
 */
#ifndef PKCS11_LIE_H
#define PKCS11_LIE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"

/* E_PROTOCOL with the number as detail. what_ is a literal that names the function. */
#define LIE(what_, said_)                                                                          \
    __extension__({                                                                                \
        static _Atomic int64_t lie_quiet_until_ms_;                                                \
        lie_told(&lie_quiet_until_ms_, FAIL_DETAIL(E_PROTOCOL, said_, what_));                     \
    })

/* Logs it unless it was logged a moment ago. Returns it. Thread safe. */
MUST_USE err_t lie_told(_Atomic int64_t *quiet_until_ms, err_t err);

#endif
