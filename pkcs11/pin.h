/*
 * pin: reads the PIN and logs in with it, at most once per value that the token refuses. Holds the lock on
 * the record from reading it to writing what came of the login.
 */
#ifndef PKCS11_PIN_H
#define PKCS11_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/config.h"
#include "base/err.h"
#include "base/secret.h"
#include "pkcs11/find.h"
#include "pkcs11/pin_record.h"

/* What a PIN file looked like: changes with every rewrite, replacement or change of owner and mode. */
struct pin_look {
    bool there;
    struct stat stat;
};

struct pin_keeper {
    const struct config_token *config;
    int control_fd; /* from keeper_start: the record is kept by our keeper */
    int lock_fd;
    struct pin_look look;   /* of the file at the last try */
    CK_FLAGS flags;         /* of the token at the last try */
    int64_t retry_ms;       /* CLOCK_MONOTONIC of a retry without a change; 0: none */
    /* A login whose success is not written down yet. */
    struct secret *pin;
    char serial[PIN_RECORD_SERIAL + 1];
    struct pin_record record;
    bool has_hash;
    uint8_t hash[PIN_RECORD_HASH];
    bool locked;
};

/*
 * Logs the session in. OK; E_STATE: refused, latched or not to be tried, with the mend in `why`;
 * E_UNAVAILABLE: the token could not be asked; E_SYSTEM: the PIN or the record cannot be read or written,
 * with the mend in `why`. After OK pin_settle must follow soon.
 */
MUST_USE err_t pin_login(struct pin_keeper *keeper, const struct session *session, char *why,
                         size_t why_len);
/* Writes down which value succeeded where pin_login has not, wipes the PIN and gives the lock back. */
MUST_USE err_t pin_settle(struct pin_keeper *keeper);
/* Asked while latched: is there a reason to try again? Reads the PIN file's looks, record and flags. */
bool pin_retry_due(struct pin_keeper *keeper, const struct session *session, int64_t now_ms);

/*
 * Reads the PIN into the arena. A regular file, not a link, owned by root or us, no access for group or
 * others (a credential of root's may be open to its group); one trailing newline is cut. E_SYSTEM or
 * E_INVALID, err.what says why.
 */
MUST_USE err_t pin_read(const char *path, bool credential, struct secret **ret_pin);

#endif
