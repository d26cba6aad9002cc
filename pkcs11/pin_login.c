#define _GNU_SOURCE
#include "pkcs11/pin_login.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "base/secret.h"
#include "pkcs11/pin_hash.h"
#include "pkcs11/pin_lock.h"
#include "pkcs11/pin_mend.h"
#include "pkcs11/pin_store.h"
#include "pkcs11/rv.h"
#include "pkcs11/status.h"

#define RETRY_MS 2000

/* One login, from the PIN in memory to the answer on disk. */
struct attempt {
    struct pin_guard *guard;
    const struct session *session;
    struct pin_store store;
    struct secret *pin;
    struct pin_record record;
    struct pin_try try;
    uint8_t hash[PIN_RECORD_HASH]; /* once try.hash points at it */
    const char *mend;              /* NULL: the error says it all */
};

static void retry_in(struct pin_guard *guard, int64_t ms)
{
    guard->retry_ms = clock_mono_ms() + ms;
}

static struct pin_flags flags_of(CK_FLAGS flags, bool readable)
{
    return (struct pin_flags){.readable = readable,
                              .locked = (flags & CKF_USER_PIN_LOCKED) != 0,
                              .count_low = (flags & CKF_USER_PIN_COUNT_LOW) != 0,
                              .final_try = (flags & CKF_USER_PIN_FINAL_TRY) != 0};
}

static struct pin_flags read_flags(const struct attempt *attempt)
{
    const struct session *session = attempt->session;
    CK_FLAGS flags = 0;
    err_t err = find_token_patiently(session->module, session->token, &flags);
    attempt->guard->flags = flags;
    return flags_of(flags, !failed(err));
}

static err_t save(const struct attempt *attempt)
{
    return pin_store_save(&attempt->store, &attempt->record);
}

static err_t hash(struct attempt *attempt)
{
    if (attempt->try.hash == NULL) {
        TRY(pin_hash(secret_view(attempt->pin), attempt->record.salt, attempt->hash));
        attempt->try.hash = attempt->hash;
    }
    return OK;
}

static void warn_unstored(const struct pin_guard *guard, err_t err)
{
    if (failed(err)) {
        log_event(EVENT_TOKEN_PIN_RECORD_NOT_KEPT, LOG_TEXT("folder", guard->state_dir),
                  LOG_ERR(err));
    }
}

/* ---- before C_Login ---- */

/*
 * On a full disk, say, a PIN that has worked is tried all the same: should the token refuse it,
 * this process remembers it, and a token that counts keeps the next one from it.
 */
static bool is_safe_unstored(const struct attempt *attempt)
{
    const struct pin_try *try = &attempt->try;
    return pin_record_is_proven(&attempt->record, &try->source) && !try->flags.count_low &&
           !try->flags.final_try;
}

static bool is_odd_length(const struct token *token, size_t n)
{
    bool told = token->pin_max > 0 && token->pin_min <= token->pin_max;
    return told && (n < token->pin_min || n > token->pin_max);
}

/* Also when stopped: what was learnt stays, and an order is carried out once. */
static err_t save_decision(const struct attempt *attempt)
{
    TRY(save(attempt));
    if (attempt->try.ordered) {
        warn_unstored(attempt->guard, pin_store_end_order(&attempt->store, &attempt->record));
    }
    return OK;
}

/* Reads what there is and decides. OK: that a login begins is stored, log in. */
static err_t decide(struct attempt *attempt)
{
    struct pin_try *try = &attempt->try;
    try->flags = read_flags(attempt);
    if (pin_record_needs_hash(&attempt->record, &try->source)) {
        TRY(hash(attempt));
    }
    enum pin_decision decision = pin_record_begin(&attempt->record, try);
    err_t stored = save_decision(attempt);
    if (decision == PIN_STOP_WAIT) {
        retry_in(attempt->guard, pin_record_wait_s(&attempt->record, try) * 1000);
    } else if (decision == PIN_STOP_UNREADABLE) {
        retry_in(attempt->guard, RETRY_MS);
    }
    if (decision != PIN_TRY) {
        attempt->mend = pin_mend(decision, pin_file_is_credential(attempt->guard->config));
        return FAIL(E_STATE, "the PIN is not tried");
    }
    if (failed(stored) && is_safe_unstored(attempt)) {
        warn_unstored(attempt->guard, stored);
        return OK;
    }
    return stored;
}

/* ---- after it ---- */

/*
 * Which value it was takes a while to compute: a kill meanwhile must not leave the refusal unknown.
 */
static err_t note_refusal(struct attempt *attempt, bool by_code)
{
    struct pin_flags after = {0};
    pin_record_end(&attempt->record, &attempt->try, PIN_ANSWER_WRONG, &after);
    (void)!failed(save(attempt)); /* whether it is kept, the second time tells */
    if (by_code) {
        after = read_flags(attempt);
    }
    TRY(hash(attempt));
    pin_record_refused(&attempt->record, &attempt->try, &after);
    return save(attempt);
}

/*
 * The mend stands from the start: a refusal that cannot be written down is not tried again by
 * itself.
 */
static err_t conclude_refused(struct attempt *attempt, CK_RV rv, bool by_code)
{
    const struct token *token = attempt->session->token;
    log_event(EVENT_TOKEN_PIN_REFUSED, LOG_TEXT("rv", rv_name(rv)), LOG_TEXT("token", token->label),
              LOG_TEXT("serial", token->serial));
    attempt->mend = pin_mend_refused(rv, pin_file_is_credential(attempt->guard->config));
    TRY(note_refusal(attempt, by_code));
    return FAIL_DETAIL(E_STATE, rv, "the token refused the PIN");
}

static err_t conclude_failed(struct attempt *attempt, CK_RV rv)
{
    const struct token *token = attempt->session->token;
    bool by_code = rv_class(rv) == RV_PIN;
    struct pin_flags after = {0};
    if (!by_code) {
        after = read_flags(attempt);
    }
    if (by_code || pin_flags_are_worse(&attempt->try.flags, &after)) {
        return conclude_refused(attempt, rv, by_code);
    }
    log_event(EVENT_TOKEN_LOGIN_FAILED, LOG_TEXT("rv", rv_name(rv)),
              LOG_TEXT("serial", token->serial));
    pin_record_end(&attempt->record, &attempt->try, PIN_ANSWER_OTHER, &after);
    warn_unstored(attempt->guard, save(attempt));
    return FAIL_DETAIL(E_UNAVAILABLE, rv, "C_Login");
}

static err_t save_success(const struct attempt *attempt)
{
    TRY(save(attempt));
    return pin_store_end_earlier(&attempt->store);
}

static void conclude_good(struct attempt *attempt, CK_RV rv)
{
    const struct token *token = attempt->session->token;
    const struct pin_flags clean = {.readable = true};
    bool looked_at = rv == CKR_OK;
    pin_record_end(&attempt->record, &attempt->try, looked_at ? PIN_ANSWER_GOOD : PIN_ANSWER_NONE,
                   &clean);
    warn_unstored(attempt->guard, looked_at ? save_success(attempt) : save(attempt));
    log_event(EVENT_TOKEN_LOGIN, LOG_TEXT("token", token->label), LOG_TEXT("serial", token->serial),
              LOG_TEXT("rv", rv_name(rv)));
}

/* ---- the whole ---- */

static err_t log_in(struct attempt *attempt)
{
    const struct session *session = attempt->session;
    struct span pin = secret_view(attempt->pin);
    attempt->try.odd_length = is_odd_length(session->token, pin.len);
    attempt->try.now_s = clock_real_s();
    TRY(pin_store_load(&attempt->store, &attempt->record, &attempt->try.ordered));
    TRY(decide(attempt));
    status_count_login();
    CK_RV rv = P11(session->module, C_Login, session->handle, CKU_USER, p11_bytes(pin), pin.len);
    if (rv != CKR_OK && !rv_is_already(rv)) {
        return conclude_failed(attempt, rv);
    }
    conclude_good(attempt, rv);
    return OK;
}

/*
 * The lock is waited for half of the time that a start has: another login may take long too, and
 * its process may be stopped.
 */
static err_t log_in_alone(struct attempt *attempt)
{
    struct pin_guard *guard = attempt->guard;
    int64_t wait_ms = (int64_t)guard->config->start_timeout_s * 500;
    err_t err =
        pin_lock_take(guard->lock_fd, attempt->session->token->serial, wait_ms, guard->ending);
    if (err.code == E_DEADLINE) {
        retry_in(guard, RETRY_MS);
        attempt->mend = "another login holds pin.lock in the state directory (a stopped "
                        "p11-kmsctl?): it is waited for";
        return FAIL(E_STATE, "the lock of the PIN record is held");
    }
    TRY(err);
    err = log_in(attempt);
    pin_lock_release(guard->lock_fd);
    return err;
}

static void say_why(const struct attempt *attempt, err_t err, char *why, size_t why_len)
{
    if (attempt->mend != NULL) {
        (void)snprintf(why, why_len, "%s", attempt->mend);
    } else if (err.code == E_SYSTEM) {
        (void)snprintf(why, why_len,
                       "%s: the record of logins: %s: %s: mend that folder (is the disk full, or "
                       "not ours?); without the record only a PIN that has worked here is tried",
                       attempt->guard->state_dir, err.what, strerrordesc_np((int)err.detail));
    } else {
        (void)snprintf(why, why_len, "%s", err.what);
    }
}

err_t pin_login(struct pin_guard *guard, const struct session *session, char *why, size_t why_len)
{
    struct attempt attempt = {
        .guard = guard,
        .session = session,
        .store = {.control_fd = guard->control_fd, .serial = session->token->serial}};
    guard->retry_ms = 0;
    guard->look = pin_file_look(guard->config);
    TRY(pin_file_read(guard->config, &attempt.pin, &attempt.try.source, why, why_len));
    err_t err = log_in_alone(&attempt);
    secret_free(TAKE(attempt.pin));
    secret_wipe(attempt.hash, sizeof(attempt.hash));
    if (!failed(err)) {
        return OK;
    }
    say_why(&attempt, err, why, why_len);
    if (attempt.mend != NULL && err.code != E_STATE) {
        warn_unstored(guard, err);
    }
    if (attempt.mend == NULL && err.code != E_UNAVAILABLE) {
        retry_in(guard, RETRY_MS);
    }
    return err;
}
