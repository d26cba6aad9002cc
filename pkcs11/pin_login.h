/*
 * pin_login: the PIN guard's way through a login, which sends a value that the token refuses at
 * most once (pin_record.h has the rules): PIN, lock, record, decision, intent, C_Login, answer.
 * Holds the lock on the record from reading it to writing what came of the login.
 */
#ifndef PKCS11_PIN_LOGIN_H
#define PKCS11_PIN_LOGIN_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "pkcs11/find.h"
#include "pkcs11/pin_file.h"
#include "pkcs11/pin_record.h"

/* From one login of a process to its next. For one thread. */
struct pin_guard {
    const struct config_token *config;
    const char *state_dir; /* for texts */
    int control_fd;        /* from control_start: our keeper has the record */
    int lock_fd;
    const atomic_bool *ending; /* the process is told to end: no login is begun */
    /* What the last login found, and when pin_retry_due is to say so without a change. */
    struct pin_look look;
    CK_FLAGS flags;
    int64_t retry_ms; /* CLOCK_MONOTONIC; 0: never */
};

/*
 * Logs the session in. OK; E_STATE: refused, latched or not to be tried, with the mend in `why`;
 * E_UNAVAILABLE: the token could not be asked; E_SYSTEM: the PIN or the record cannot be read or
 * written, with the mend in `why`.
 */
MUST_USE err_t pin_login(struct pin_guard *guard, const struct session *session, char *why,
                         size_t why_len);

#endif
