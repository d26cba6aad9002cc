/*
 * session: a session with the token, of one thread. The login is the application's, not the
 * session's: a new one needs none. What a failure means for a session is in rv.h.
 */
#ifndef PKCS11_SESSION_H
#define PKCS11_SESSION_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

#include "base/err.h"
#include "pkcs11/module.h"

struct token;

/* Begins as {.module, .token}, both borrowed. */
struct session {
    const struct module *module;
    const struct token *token;
    CK_SESSION_HANDLE handle;
    bool open;
};

/* Read-only where the token allows it; `writable` for what makes a key. E_TOKEN, E_PROTOCOL. */
MUST_USE err_t session_open(struct session *session, bool writable);
/* Nothing to do for one that is not open. Fits CLEANUP(). */
void session_close(struct session *session);
/* A new session, not writable, for one whose state is in doubt. E_TOKEN, E_PROTOCOL: none is open.
 */
MUST_USE err_t session_renew(struct session *session);

#endif
