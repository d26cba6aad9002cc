#include "pkcs11/crypt.h"

#include <poll.h>
#include <sys/random.h>

#include "base/clock.h"
#include "pkcs11/audit.h"
#include "pkcs11/key.h"
#include "pkcs11/list.h"
#include "pkcs11/rv.h"
#include "pkcs11/wrap.h"

#define ROUNDS       5  /* of canaries beside bytes that do not open */
#define PAUSE_MS     10 /* before the third try; doubles */
#define PAUSE_MAX_MS 160
#define MARGIN_MS    100 /* the answer must be back before the call's time is over */

/* What speaks against the wrapped bytes of an effort. */
struct doubt {
    CK_RV rv;        /* with which the token refused them */
    unsigned tries;  /* that ended so, in a row */
    unsigned rounds; /* in which the canary stood beside them */
};

/* One wrap or unwrap with all its tries. */
struct effort {
    enum ipc_verb verb;
    const struct ipc_crypt *ask;
    const struct wrap_scheme *scheme;
    struct span data;
    struct span_mut out;
    int64_t deadline_ms;
    int pause_ms;
    struct doubt doubt;
};

static err_t once(struct session *session, const struct effort *effort, struct key *ret_key,
                  size_t *ret_len)
{
    struct span aad = span_of(effort->ask->aad, effort->ask->aad_len);
    if (!session->open) {
        TRY(session_open(session, false));
    }
    TRY(list_find(session, &effort->ask->key, ret_key));
    if (ret_key->kek.scheme != effort->scheme) {
        return FAIL(E_NOT_FOUND, "the key wraps by another scheme");
    }
    if (effort->verb == IPC_WRAP) {
        return effort->scheme->wrap(session, &ret_key->kek, aad, effort->data, effort->out,
                                    ret_len);
    }
    return effort->scheme->unwrap(session, &ret_key->kek, aad, effort->data, effort->out, ret_len);
}

/* 2 to 4, at random. */
static int canaries_of_a_round(void)
{
    uint8_t byte = 0;
    (void)!getrandom(&byte, sizeof(byte), 0);
    return 2 + byte % 3;
}

/* OK: the same key opens its canary, and refuses it under another AAD with this very code. */
static err_t ask_canary(const struct session *session, struct key *key, CK_RV rv)
{
    struct audit audit = {0};
    if (!key->has_canary) {
        TRY(audit_aad(session, &key->kek, &audit, &key->canary));
        key->has_canary = true;
        keys_put(key);
    }
    for (int n = canaries_of_a_round(); n > 0; n--) {
        TRY(canary_open(session, &key->kek, &key->canary, false));
    }
    err_t refusal = canary_open(session, &key->kek, &key->canary, true);
    bool same = key->kek.scheme->is_refusal(refusal) && refusal.detail == rv;
    return same ? OK : FAIL(E_CRYPTO, "the canary is not refused as the bytes are");
}

/* Some sessions are spoilt by a refusal, as that of the bytes was one: then in a new one. */
static bool canary_stands(struct session *session, struct key *key, CK_RV rv)
{
    err_t err = ask_canary(session, key, rv);
    if (rv_class_of(err) == RV_SESSION && !failed(session_renew(session))) {
        err = ask_canary(session, key, rv);
    }
    return !failed(err);
}

/* This try, which ended in err, settles that these bytes never open. */
static bool settles(struct session *session, struct effort *effort, struct key *key, err_t err)
{
    struct doubt *doubt = &effort->doubt;
    if (effort->verb != IPC_UNWRAP || !effort->scheme->is_refusal(err)) {
        *doubt = (struct doubt){0};
        return false;
    }
    if (doubt->tries == 0 || doubt->rv != err.detail) {
        *doubt = (struct doubt){.rv = err.detail, .tries = 1};
        return false;
    }
    doubt->tries++;
    bool known = key->has_canary && key->canary.refusal == err.detail;
    if ((known && rv_class_of(err) == RV_DATA) || doubt->rounds == ROUNDS) {
        return true;
    }
    if (canary_stands(session, key, err.detail)) {
        doubt->rounds++;
    } else {
        *doubt = (struct doubt){0};
    }
    return false;
}

/* True when another try may help. */
static bool may_pass(const struct effort *effort, err_t err)
{
    if (err.code != E_TOKEN) {
        return err.code == E_PROTOCOL || (effort->verb == IPC_UNWRAP && err.code == E_UNSUPPORTED);
    }
    switch (rv_class_of(err)) {
    case RV_LOST:
    case RV_PIN:
        return false;
    case RV_DATA:
    case RV_FAULT:
        return effort->verb == IPC_UNWRAP;
    case RV_FINE:
    case RV_SESSION:
    case RV_HANDLE:
    case RV_BUSY:
    case RV_OUTAGE:
        break;
    }
    return true;
}

/* False: the call's time is over. The second try comes at once: one failure alone costs no time. */
static bool wait_more(struct effort *effort)
{
    int64_t left_ms = effort->deadline_ms - MARGIN_MS - clock_mono_ms();
    if (left_ms <= effort->pause_ms) {
        return false;
    }
    if (effort->pause_ms > 0) {
        (void)poll(NULL, 0, effort->pause_ms);
    }
    int longer_ms = effort->pause_ms == 0 ? PAUSE_MS : effort->pause_ms * 2;
    effort->pause_ms = longer_ms < PAUSE_MAX_MS ? longer_ms : PAUSE_MAX_MS;
    return true;
}

/* OK: worth another try. Otherwise the error that it is. */
static err_t recover(struct session *session, struct effort *effort, struct key *key, err_t err)
{
    if (!may_pass(effort, err)) {
        return err;
    }
    if (settles(session, effort, key, err)) {
        return FAIL_DETAIL(E_INVALID, err.detail, "these wrapped bytes do not open");
    }
    if (rv_class_of(err) == RV_HANDLE) {
        keys_drop_handle(key->kek.handles[0]);
        return OK;
    }
    err_t renewed = session_renew(session);
    return rv_class_of(renewed) == RV_LOST ? renewed : OK; /* else it is opened at the next try */
}

err_t crypt_do(struct session *session, enum ipc_verb verb, const struct ipc_crypt *ask,
               struct span data, int64_t deadline_ms, struct span_mut out, size_t *ret_len)
{
    struct effort effort = {.verb = verb,
                            .ask = ask,
                            .scheme = wrap_scheme(ask->scheme),
                            .data = data,
                            .out = out,
                            .deadline_ms = deadline_ms};
    err_t err = OK;
    if (effort.scheme == NULL) {
        return FAIL(E_UNSUPPORTED, "unknown wrap scheme");
    }
    do {
        struct key key = {0};
        err = once(session, &effort, &key, ret_len);
        if (!failed(err)) {
            return OK;
        }
        TRY(recover(session, &effort, &key, err));
    } while (wait_more(&effort));
    /* The token works: its canary opened beside them. An outage would be counted against it. */
    return effort.doubt.rounds == 0
               ? err
               : FAIL_DETAIL(E_UNAVAILABLE, err.detail, "no time for a verdict");
}
