#include "pkcs11/session.h"

#include "pkcs11/find.h"
#include "pkcs11/lie.h"
#include "pkcs11/rv.h"

static err_t open_once(struct session *session, bool writable)
{
    CK_FLAGS flags = CKF_SERIAL_SESSION | (writable ? CKF_RW_SESSION : 0);
    CK_SLOT_ID slot = session->token->slot;
    CK_RV rv = P11(session->module, C_OpenSession, slot, flags, NULL, NULL, &session->handle);
    if (rv != CKR_OK && !writable && rv_class(rv) == RV_FAULT) {
        /* Some tokens have no read-only sessions. */
        rv = P11(session->module, C_OpenSession, slot, flags | CKF_RW_SESSION, NULL, NULL,
                 &session->handle);
    }
    RV_TRY(rv, "C_OpenSession");
    if (session->handle == CK_INVALID_HANDLE) {
        return LIE("C_OpenSession gave a handle that is none", session->handle);
    }
    session->open = true;
    return OK;
}

err_t session_open(struct session *session, bool writable)
{
    err_t err = open_once(session, writable);
    return rv_may_pass(err) ? open_once(session, writable) : err;
}

void session_close(struct session *session)
{
    if (session->open) {
        (void)P11(session->module, C_CloseSession, session->handle);
        session->open = false;
        session->handle = CK_INVALID_HANDLE; /* its number may be another worker's by now */
    }
}

err_t session_renew(struct session *session)
{
    session_close(session);
    return session_open(session, false);
}
