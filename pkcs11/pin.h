/*
 * pin: reads the PIN and logs in with it, at most once per value that the token refuses
 * (pin_record.h has the rules). Holds the lock on the record from reading it to writing what came
 * of the login.
 */
#ifndef PKCS11_PIN_H
#define PKCS11_PIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/config.h"
#include "base/err.h"
#include "base/secret.h"
#include "pkcs11/find.h"
#include "pkcs11/pin_record.h"

/*
 * What a PIN file looked like: changes with every rewrite, replacement or change of owner and mode.
 */
struct pin_look {
    bool there;
    struct stat stat;
};

struct pin_keeper {
    const struct config_token *config;
    const char *state_dir; /* for texts */
    int control_fd; /* from control_start: the record is kept by our keeper */
    int lock_fd;
    const atomic_bool *ending; /* the process is told to end: no login is begun */
    struct pin_look look;   /* of the file at the last try */
    CK_FLAGS flags;         /* of the token at the last try */
    int64_t retry_ms;       /* CLOCK_MONOTONIC of a retry without a change; 0: none */
    /* While a login is under way. */
    struct secret *pin;
    struct pin_source source;
    struct pin_record record;
    bool has_hash;
    uint8_t hash[PIN_RECORD_HASH];
    bool locked;
};

/*
 * Logs the session in. OK; E_STATE: refused, latched or not to be tried, with the mend in `why`;
 * E_UNAVAILABLE: the token could not be asked; E_SYSTEM: the PIN or the record cannot be read or
 * written, with the mend in `why`.
 */
MUST_USE err_t pin_login(struct pin_keeper *keeper, const struct session *session, char *why,
                         size_t why_len);
/*
 * Asked while latched: is there a reason to try again? Reads the PIN file's looks, record and
 * flags.
 */
bool pin_retry_due(struct pin_keeper *keeper, const struct session *session, int64_t now_ms);

/*
 * Reads the PIN into the arena, and says which file it is. A regular file, not a link, owned by
 * root or us, no access for group or others (a credential of root's may be open to its group); one
 * line end is cut, and what no PIN is likely to hold (control characters, a byte order mark, blanks
 * at its ends) is refused. E_SYSTEM or E_INVALID, err.what says why.
 */
MUST_USE err_t pin_read(const char *path, bool credential, struct secret **ret_pin,
                        struct pin_source *ret_source);
/* The check of its content alone. */
MUST_USE err_t pin_check_content(struct span pin);
/* What an operator is told of a PIN that is not tried. */
const char *pin_mend(enum pin_decision decision, bool credential);
/* And of one that the token has just refused, with this answer of C_Login. */
const char *pin_mend_refused(CK_RV rv, bool credential);

#endif
