#define _GNU_SOURCE
#include "pkcs11/pin.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/role.h"
#include "pkcs11/rv.h"
#include "pkcs11/status.h"

#define RETRY_MS      2000
#define LOCK_SLICE_MS 100

/*
 * systemd copies a credential when it starts the service: a correction reaches nobody before the
 * next start.
 */
static bool is_credential(const struct config_token *config)
{
    return config->pin_file[0] == '\0';
}

static void pin_path(const struct config_token *config, char *to, size_t to_len)
{
    if (is_credential(config)) {
        (void)snprintf(to, to_len, "%s/%s", config->credentials_dir, config->pin_credential);
    } else {
        (void)snprintf(to, to_len, "%s", config->pin_file);
    }
}

static struct pin_look look_at(const struct config_token *config)
{
    char path[CONFIG_PATH_LEN + 64];
    struct pin_look look = {0};
    pin_path(config, path, sizeof(path));
    look.there = lstat(path, &look.stat) == 0;
    return look;
}

static bool looks_equal(const struct pin_look *a, const struct pin_look *b)
{
    return a->there == b->there && a->stat.st_dev == b->stat.st_dev &&
           a->stat.st_ino == b->stat.st_ino && a->stat.st_size == b->stat.st_size &&
           a->stat.st_mtim.tv_sec == b->stat.st_mtim.tv_sec &&
           a->stat.st_mtim.tv_nsec == b->stat.st_mtim.tv_nsec &&
           a->stat.st_ctim.tv_sec == b->stat.st_ctim.tv_sec &&
           a->stat.st_ctim.tv_nsec == b->stat.st_ctim.tv_nsec;
}

static struct pin_flags flags_of(CK_FLAGS flags, bool readable)
{
    return (struct pin_flags){.readable = readable,
                              .locked = (flags & CKF_USER_PIN_LOCKED) != 0,
                              .count_low = (flags & CKF_USER_PIN_COUNT_LOW) != 0,
                              .final_try = (flags & CKF_USER_PIN_FINAL_TRY) != 0};
}

static struct pin_flags read_flags(struct pin_keeper *keeper, const struct session *session)
{
    CK_FLAGS flags = 0;
    err_t err = find_token_patiently(session->module, session->token, &flags);
    keeper->flags = flags;
    return flags_of(flags, !failed(err));
}

/*
 * Half of the time that a start has: another login may take long too, and its process may be
 * stopped. In slices, so that an end need not wait for it.
 */
static err_t wait_lock(const struct pin_keeper *keeper)
{
    int64_t until_ms = clock_mono_ms() + (int64_t)keeper->config->start_timeout_s * 500;
    err_t err = FAIL(E_DEADLINE, "the process is told to end");
    while (err.code == E_DEADLINE && clock_mono_ms() < until_ms && !atomic_load(keeper->ending)) {
        err = state_wait_lock(keeper->lock_fd, LOCK_SLICE_MS);
    }
    return err;
}

static err_t lock(struct pin_keeper *keeper, const char **ret_mend)
{
    err_t err = wait_lock(keeper);
    if (err.code == E_DEADLINE) {
        keeper->retry_ms = clock_mono_ms() + RETRY_MS;
        *ret_mend = "another login holds pin.lock in the state directory (a stopped p11-kmsctl?): "
                    "it is waited for";
        return FAIL(E_STATE, "the lock of the PIN record is held");
    }
    TRY(err);
    keeper->locked = true;
    return OK;
}

static void let_go(struct pin_keeper *keeper)
{
    secret_free(TAKE(keeper->pin));
    secret_wipe(keeper->hash, sizeof(keeper->hash));
    keeper->has_hash = false;
    if (keeper->locked) {
        (void)flock(keeper->lock_fd, LOCK_UN);
        keeper->locked = false;
    }
}

/* *ret_there false: no record at all, a node's first start. */
static err_t get_record(const struct pin_keeper *keeper, struct span_mut room, size_t *ret_len,
                        bool *ret_there)
{
    size_t len = 0;
    err_t err = role_get_state_wait(keeper->control_fd, STATE_PIN, room, &len);
    if (err.code == E_LIMIT || err.code == E_INVALID) {
        /* Not one of ours: a byte that does not parse stands for it. */
        room.ptr[0] = 0;
        len = 1;
    } else if (failed(err) && err.code != E_NOT_FOUND) {
        return err;
    }
    *ret_there = err.code != E_NOT_FOUND;
    *ret_len = len;
    return OK;
}

/* *ret_ordered: the record is there and empty. */
static err_t load_record(struct pin_keeper *keeper, bool *ret_ordered)
{
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = 0;
    bool there = false;
    TRY(get_record(keeper, span_mut_of(bytes, sizeof(bytes)), &len, &there));
    pin_record_parse(span_of(bytes, len), &keeper->record);
    *ret_ordered = there && len == 0;
    if (!keeper->record.has_salt) {
        if (getrandom(keeper->record.salt, PIN_RECORD_SALT, 0) != (ssize_t)PIN_RECORD_SALT) {
            return FAIL_ERRNO("getrandom");
        }
        keeper->record.has_salt = true;
    }
    return OK;
}

static err_t store_record(struct pin_keeper *keeper)
{
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = 0;
    TRY(pin_record_write(&keeper->record, span_mut_of(bytes, sizeof(bytes)), &len));
    TRY(role_put_state_wait(keeper->control_fd, STATE_PIN, span_of(bytes, len)));
    return OK;
}

static err_t hash_pin(struct pin_keeper *keeper)
{
    if (keeper->has_hash) {
        return OK;
    }
    struct span pin = secret_view(keeper->pin);
    int done = PKCS5_PBKDF2_HMAC((const char *)pin.ptr, (int)pin.len, keeper->record.salt,
                                 PIN_RECORD_SALT, PIN_RECORD_ROUNDS, EVP_sha256(), PIN_RECORD_HASH,
                                 keeper->hash);
    if (done != 1) {
        return FAIL(E_LIMIT, "PBKDF2");
    }
    keeper->has_hash = true;
    return OK;
}

static void warn_unstored(const struct pin_keeper *keeper, err_t err)
{
    if (failed(err)) {
        log_event(EVENT_TOKEN_PIN_RECORD_NOT_KEPT, LOG_TEXT("folder", keeper->state_dir),
                  LOG_ERR(err));
    }
}

/*
 * On a full disk, say, a PIN that has worked is tried all the same: should the token refuse it,
 * this process remembers it, and a token that counts keeps the next one from it.
 */
static bool is_safe_unstored(const struct pin_keeper *keeper, const struct pin_try *try)
{
    const struct pin_flags *flags = &try->flags;
    return pin_record_is_proven(&keeper->record, try->serial, &try->source) && !flags->count_low &&
           !flags->final_try;
}

static bool is_odd_length(const struct token *token, size_t n)
{
    bool told = token->pin_max > 0 && token->pin_min <= token->pin_max;
    return told && (n < token->pin_min || n > token->pin_max);
}

/* Reads what there is and decides. OK: that a login begins is stored, log in. */
static err_t decide(struct pin_keeper *keeper, const struct session *session, struct pin_try *try,
                    const char **ret_mend)
{
    try->flags = read_flags(keeper, session);
    if (pin_record_needs_hash(&keeper->record, try->serial, &try->source)) {
        TRY(hash_pin(keeper));
        try->hash = keeper->hash;
    }
    enum pin_decision decision = pin_record_begin(&keeper->record, try);
    /* Also when stopped: what was learnt stays, and an order is carried out once. */
    err_t stored = store_record(keeper);
    if (decision == PIN_STOP_WAIT) {
        keeper->retry_ms = clock_mono_ms() + pin_record_wait_s(&keeper->record, try) * 1000;
    } else if (decision == PIN_STOP_UNREADABLE) {
        keeper->retry_ms = clock_mono_ms() + RETRY_MS;
    }
    if (decision != PIN_TRY) {
        *ret_mend = pin_mend(decision, is_credential(keeper->config));
        return FAIL(E_STATE, "the PIN is not tried");
    }
    if (failed(stored) && is_safe_unstored(keeper, try)) {
        warn_unstored(keeper, stored);
        return OK;
    }
    return stored;
}

/*
 * The mend stands from the start: a refusal that cannot be written down is not tried again by
 * itself.
 */
static void say_refused(const struct pin_keeper *keeper, const struct session *session, CK_RV rv,
                        const char **ret_mend)
{
    log_event(EVENT_TOKEN_PIN_REFUSED, LOG_TEXT("rv", rv_name(rv)),
              LOG_TEXT("token", session->token->label), LOG_TEXT("serial", session->token->serial));
    *ret_mend = pin_mend_refused(rv, is_credential(keeper->config));
}

/*
 * Which value it was takes a while to compute: a kill meanwhile must not leave the refusal unknown.
 */
static err_t note_refusal(struct pin_keeper *keeper, const struct session *session,
                          struct pin_try *try, bool by_code)
{
    struct pin_flags after = {0};
    pin_record_end(&keeper->record, try, PIN_ANSWER_WRONG, &after);
    err_t first = store_record(keeper);
    if (by_code) {
        after = read_flags(keeper, session);
    }
    TRY(hash_pin(keeper));
    try->hash = keeper->hash;
    pin_record_refused(&keeper->record, try, &after);
    err_t second = store_record(keeper);
    return failed(second) ? second : first;
}

static err_t refused(struct pin_keeper *keeper, const struct session *session, struct pin_try *try,
                     CK_RV rv, const char **ret_mend)
{
    bool by_code = rv_class(rv) == RV_PIN;
    struct pin_flags after = {0};
    if (!by_code) {
        after = read_flags(keeper, session);
    }
    if (by_code || pin_flags_are_worse(&try->flags, &after)) {
        say_refused(keeper, session, rv, ret_mend);
        TRY(note_refusal(keeper, session, try, by_code));
        return FAIL_DETAIL(E_STATE, rv, "the token refused the PIN");
    }
    log_event(EVENT_TOKEN_LOGIN_FAILED, LOG_TEXT("rv", rv_name(rv)),
              LOG_TEXT("serial", session->token->serial));
    pin_record_end(&keeper->record, try, PIN_ANSWER_OTHER, &after);
    warn_unstored(keeper, store_record(keeper));
    return FAIL_DETAIL(E_UNAVAILABLE, rv, "C_Login");
}

static void note_success(struct pin_keeper *keeper, const struct pin_try *try, bool looked_at)
{
    const struct pin_flags clean = {.readable = true};
    pin_record_end(&keeper->record, try, looked_at ? PIN_ANSWER_GOOD : PIN_ANSWER_NONE, &clean);
    warn_unstored(keeper, store_record(keeper));
}

static err_t try_login(struct pin_keeper *keeper, const struct session *session,
                       const char **ret_mend)
{
    TRY(lock(keeper, ret_mend));
    struct span pin = secret_view(keeper->pin);
    struct pin_try try = {.serial = session->token->serial,
                          .source = keeper->source,
                          .odd_length = is_odd_length(session->token, pin.len),
                          .now_s = clock_real_s()};
    TRY(load_record(keeper, &try.ordered));
    TRY(decide(keeper, session, &try, ret_mend));
    status_count_login();
    CK_RV rv = P11(session->module, C_Login, session->handle, CKU_USER, p11_bytes(pin), pin.len);
    if (rv != CKR_OK && !rv_is_already(rv)) {
        return refused(keeper, session, &try, rv, ret_mend);
    }
    note_success(keeper, &try, rv == CKR_OK);
    log_event(EVENT_TOKEN_LOGIN, LOG_TEXT("token", session->token->label),
              LOG_TEXT("serial", session->token->serial), LOG_TEXT("rv", rv_name(rv)));
    return OK;
}

static err_t read_pin(struct pin_keeper *keeper, char *why, size_t why_len)
{
    const struct config_token *config = keeper->config;
    char path[CONFIG_PATH_LEN + 64];
    bool credential = is_credential(config);
    if (credential && config->credentials_dir[0] == '\0') {
        (void)snprintf(
            why, why_len,
            "pin_credential \"%s\": $CREDENTIALS_DIRECTORY is not set; systemd sets it for "
            "the service, elsewhere set it to the folder that holds the file",
            config->pin_credential);
        return FAIL(E_INVALID, "no folder of credentials");
    }
    pin_path(config, path, sizeof(path));
    err_t err = pin_read(path, credential, &keeper->pin, &keeper->source);
    if (failed(err)) {
        (void)snprintf(why, why_len, "%s: %s%s%s", path, err.what, err.code == E_SYSTEM ? ": " : "",
                       err.code == E_SYSTEM ? strerrordesc_np((int)err.detail) : "");
    }
    return err;
}

static void say_why(const struct pin_keeper *keeper, err_t err, const char *mend, char *why,
                    size_t why_len)
{
    if (mend != NULL) {
        (void)snprintf(why, why_len, "%s", mend);
    } else if (err.code == E_SYSTEM) {
        (void)snprintf(why, why_len,
                       "%s: the record of logins: %s: %s: mend that folder (is the disk full, or "
                       "not ours?); without the record only a PIN that has worked here is tried",
                       keeper->state_dir, err.what, strerrordesc_np((int)err.detail));
    } else {
        (void)snprintf(why, why_len, "%s", err.what);
    }
}

err_t pin_login(struct pin_keeper *keeper, const struct session *session, char *why, size_t why_len)
{
    const char *mend = NULL;
    keeper->retry_ms = 0;
    keeper->look = look_at(keeper->config);
    TRY(read_pin(keeper, why, why_len));
    err_t err = try_login(keeper, session, &mend);
    let_go(keeper);
    if (!failed(err)) {
        return OK;
    }
    say_why(keeper, err, mend, why, why_len);
    if (mend != NULL && err.code != E_STATE) {
        warn_unstored(keeper, err);
    }
    if (mend == NULL && err.code != E_UNAVAILABLE) {
        keeper->retry_ms = clock_mono_ms() + RETRY_MS;
    }
    return err;
}

static bool is_ordered(const struct pin_keeper *keeper)
{
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = 0;
    bool there = false;
    err_t err = get_record(keeper, span_mut_of(bytes, sizeof(bytes)), &len, &there);
    return !failed(err) && there && len == 0;
}

bool pin_retry_due(struct pin_keeper *keeper, const struct session *session, int64_t now_ms)
{
    if (is_ordered(keeper)) {
        return true;
    }
    struct pin_look look = look_at(keeper->config);
    if (!looks_equal(&look, &keeper->look)) {
        return true;
    }
    CK_FLAGS flags = keeper->flags;
    const CK_FLAGS pin_flags =
        CKF_USER_PIN_LOCKED | CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY;
    if (!failed(find_token_flags(session->module, session->token, &flags)) &&
        ((flags ^ keeper->flags) & pin_flags) != 0) {
        return true;
    }
    return keeper->retry_ms != 0 && now_ms >= keeper->retry_ms;
}
