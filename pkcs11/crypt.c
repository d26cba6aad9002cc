#include "pkcs11/crypt.h"

#include <poll.h>

#include "pkcs11/key.h"
#include "pkcs11/list.h"
#include "pkcs11/rv.h"
#include "pkcs11/wrap_gcm.h"

#define SCHEME_AES_GCM 1
#define TRIES          3
#define PAUSE_MS       20

struct call {
    enum ipc_verb verb;
    const struct ipc_crypt *ask;
    struct span data;
    struct span_mut out;
};

static err_t once(const struct session *session, const struct call *call, const struct key *key,
                  size_t *ret_len)
{
    struct span aad = span_of(call->ask->aad, call->ask->aad_len);
    if (call->verb == IPC_WRAP) {
        return wrap_gcm(session, key->handle, aad, call->data, call->out, ret_len);
    }
    return unwrap_gcm(session, key->handle, aad, call->data, call->out, ret_len);
}

/*
 * A code that says nothing came from C_Decrypt: when the same key opens its canary right now, it is this blob
 * that does not open.
 */
static bool canary_opens(const struct session *session, struct key *key)
{
    if (!key->has_canary) {
        key->has_canary = !failed(wrap_canary_make(session, key->handle, &key->canary));
        if (!key->has_canary) {
            return false;
        }
        keys_put(key);
    }
    return !failed(wrap_canary_open(session, key->handle, &key->canary, false));
}

/* OK: worth another try. Otherwise the error that it is. */
static err_t recover(struct session *session, const struct call *call, struct key *key, err_t err)
{
    switch (rv_class_of(err)) {
    case RV_DATA:
        return call->verb == IPC_UNWRAP
                   ? FAIL_DETAIL(E_INVALID, err.detail, "these wrapped bytes do not open")
                   : err;
    case RV_SESSION:
        return session_renew(session);
    case RV_HANDLE:
        keys_drop_handle(key->handle);
        return OK;
    case RV_OUTAGE:
        /* Also what other processes at the token's files cause, for a moment. */
        (void)poll(NULL, 0, PAUSE_MS);
        TRY(session_renew(session));
        if (call->verb == IPC_UNWRAP && canary_opens(session, key)) {
            return FAIL_DETAIL(E_INVALID, err.detail, "these wrapped bytes do not open");
        }
        return OK;
    case RV_FINE:
    case RV_BUSY:
    case RV_LOST:
    case RV_PIN:
    case RV_FAULT:
        break;
    }
    return err;
}

err_t crypt_do(struct session *session, enum ipc_verb verb, const struct ipc_crypt *ask,
               struct span data, struct span_mut out, size_t *ret_len)
{
    const struct call call = {.verb = verb, .ask = ask, .data = data, .out = out};
    err_t err = OK;
    if (ask->scheme != SCHEME_AES_GCM) {
        return FAIL(E_UNSUPPORTED, "unknown wrap scheme");
    }
    for (int i = 0; i < TRIES; i++) {
        struct key key = {0};
        err = list_find(session, &ask->key, &key);
        if (!failed(err)) {
            err = once(session, &call, &key, ret_len);
        }
        if (!failed(err)) {
            return OK;
        }
        TRY(recover(session, &call, &key, err));
    }
    return err;
}
