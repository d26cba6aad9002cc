#include "pkcs11/crypt.h"

#include <sys/random.h>

#include "pkcs11/audit.h"
#include "pkcs11/key.h"
#include "pkcs11/ladder.h"
#include "pkcs11/list.h"
#include "pkcs11/rv.h"
#include "pkcs11/wrap.h"

#define ROUNDS 5 /* of canaries beside bytes that do not open */

/* What speaks against the wrapped bytes of an effort. */
struct doubt {
    CK_RV rv;        /* with which the token refused them */
    unsigned tries;  /* that ended so, in a row */
    unsigned rounds; /* in which the canary stood beside them */
};

/* One wrap or unwrap with all its tries. */
struct effort {
    const struct request *request;
    const struct wrap_scheme *scheme;
    struct span_mut out;
    size_t len;     /* of the result */
    struct key key; /* of this try; all zero when it did not come so far */
    struct doubt doubt;
};

static bool wraps(const struct request *request)
{
    return request->header.verb == IPC_WRAP;
}

static err_t attempt(struct session *session, void *ctx)
{
    struct effort *effort = ctx;
    struct key *key = &effort->key;
    const struct ipc_crypt *ask = &effort->request->ask.crypt;
    struct span aad = span_of(ask->aad, ask->aad_len);
    TRY(list_find(session, &ask->key, key));
    return (wraps(effort->request) ? effort->scheme->wrap : effort->scheme->unwrap)(
        session, &key->kek, aad, effort->request->data, effort->out, &effort->len);
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
static bool settles(struct session *session, struct effort *effort, err_t err)
{
    struct key *key = &effort->key;
    struct doubt *doubt = &effort->doubt;
    if (wraps(effort->request) || !effort->scheme->is_refusal(err)) {
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

static err_t judge(struct session *session, void *ctx, err_t err)
{
    struct effort *effort = ctx;
    if (settles(session, effort, err)) {
        return FAIL_DETAIL(E_INVALID, err.detail, "these wrapped bytes do not open");
    }
    if (rv_class_of(err) == RV_HANDLE) {
        keys_drop_handle(effort->key.kek.handles[0]);
    }
    effort->key = (struct key){0}; /* the next try may end before it has one */
    return OK;
}

/* A token whose canary opened beside the bytes works: an outage would be counted against it. */
static err_t expire(void *ctx, err_t err)
{
    const struct effort *effort = ctx;
    return effort->doubt.rounds == 0
               ? err
               : FAIL_DETAIL(E_UNAVAILABLE, err.detail, "no time for a verdict");
}

#define ON_PASSING                                                                                 \
    (LADDER_ON(RV_FINE) | LADDER_ON(RV_SESSION) | LADDER_ON(RV_BUSY) | LADDER_ON(RV_OUTAGE) |      \
     LADDER_ON_LIE)

/* What the token says of data to wrap holds; of wrapped bytes it may be wrong once. */
static const struct ladder wrap_ladder = {
    .renew = ON_PASSING, .again = LADDER_ON(RV_HANDLE), .patient = true};
static const struct ladder unwrap_ladder = {.renew = ON_PASSING | LADDER_ON(RV_DATA) |
                                                     LADDER_ON(RV_FAULT) | LADDER_ON_UNSUPPORTED,
                                            .again = LADDER_ON(RV_HANDLE),
                                            .patient = true};

err_t crypt_do(struct session *session, const struct request *request, int64_t deadline_ms,
               struct span_mut out, size_t *ret_len)
{
    struct effort effort = {
        .request = request, .scheme = wrap_scheme(request->ask.crypt.key.scheme), .out = out};
    const struct climb climb = {.ladder = wraps(request) ? &wrap_ladder : &unwrap_ladder,
                                .deadline_ms = deadline_ms,
                                .attempt = attempt,
                                .judge = judge,
                                .expire = expire,
                                .ctx = &effort};
    if (effort.scheme == NULL) {
        return FAIL(E_UNSUPPORTED, "unknown wrap scheme");
    }
    TRY(ladder_climb(session, &climb));
    *ret_len = effort.len;
    return OK;
}
