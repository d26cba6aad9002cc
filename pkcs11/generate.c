#include "pkcs11/generate.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "keys/ring_label.h"
#include "pkcs11/key.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/rv.h"
#include "pkcs11/watchdog.h"
#include "pkcs11/wrap.h"

err_t generate_times(const struct ipc_generate *ask, int64_t now_s,
                     struct generate_times *ret_times)
{
    if (now_s <= 0 || now_s > UINT32_MAX) {
        return FAIL(E_INVALID, "the wall clock is out of range");
    }
    uint32_t now = (uint32_t)now_s;
    uint32_t created = ask->created_s > now ? ask->created_s : now;
    uint32_t not_before = ask->not_before;
    if (not_before == 0) {
        not_before = ask->floor_s > created ? ask->floor_s : created;
    }
    if (not_before < created || not_before - now < ask->min_notice_s) {
        return FAIL(E_STATE, "less notice than asked would be left");
    }
    *ret_times = (struct generate_times){.not_before = not_before, .created = created};
    return OK;
}

/* Stamps and creates at once, so that nothing can lie between the time in the label and the key. */
static err_t create(const struct session *session, const struct ipc_generate *ask,
                    bool modifiable_said, struct wrap_kek *kek, char ret_label[RING_LABEL_MAX + 1])
{
    struct generate_times times;
    TRY(generate_times(ask, clock_real_s(), &times));
    TRY(ring_label_write(ask->ring, times.not_before, times.created, ret_label));
    const struct wrap_new what = {.id = span_of(ask->id, sizeof(ask->id)),
                                  .label = span_of_text(ret_label),
                                  .modifiable_said = modifiable_said};
    if (ask->limit_s > 0) {
        watch_hold("C_GenerateKey", ask->limit_s * 1000u);
    }
    err_t err = kek->scheme->generate(session, &what, kek->handles);
    watch_release();
    return err;
}

static err_t describe(const struct session *session, const struct wrap_kek *kek,
                      struct ipc_key *ret_key)
{
    struct key key;
    TRY(key_read_name(session, kek, &key));
    TRY(key_read_rest(session, &key, true));
    keys_put(&key);
    *ret_key = key.info;
    return OK;
}

/* E_NOT_FOUND: not made yet. */
static err_t find_made(const struct session *session, const struct ipc_generate *ask,
                       struct ipc_key *ret_key)
{
    struct wrap_kek keks[2];
    size_t n = 0;
    struct ipc_key key;
    TRY(wrap_find(session, span_of(ask->id, sizeof(ask->id)), keks, 2, &n));
    if (n == 0) {
        return FAIL(E_NOT_FOUND, "no key of this id");
    }
    TRY(describe(session, &keks[0], &key));
    if (n > 1 || !ipc_key_of_ring(&key, ask->ring) || key.ref.scheme != ask->scheme) {
        return FAIL(E_UNSUPPORTED, "the id belongs to another key");
    }
    *ret_key = key;
    return OK;
}

static err_t create_checked(const struct session *session, const struct wrap_scheme *scheme,
                            const struct ipc_generate *ask, struct ipc_key *ret_key)
{
    struct wrap_kek kek = {.scheme = scheme};
    char label[RING_LABEL_MAX + 1];
    struct ipc_key made;
    TRY(mechanism_check(session, scheme));
    err_t err = create(session, ask, true, &kek, label);
    if (err.code == E_TOKEN && rv_is_template_refused(err.detail)) {
        err = create(session, ask, false, &kek, label);
    }
    if (err.code == E_PROTOCOL) {
        return find_made(session, ask, ret_key); /* made, but under a handle that is none */
    }
    TRY(err);
    TRY(describe(session, &kek, &made));
    if (!span_equal(span_of_text(made.label), span_of_text(label)) ||
        !span_equal(span_of(made.ref.id, made.ref.id_len), span_of(ask->id, sizeof(ask->id)))) {
        log_event(EVENT_TOKEN_KEY_MISNAMED, LOG_TEXT("label", label),
                  LOG_TEXT("read_back", made.label));
        return FAIL(E_UNSUPPORTED, "the token did not keep the key's label or id");
    }
    log_event(EVENT_TOKEN_KEY_GENERATED, LOG_TEXT("label", label), LOG_TEXT("token", made.token));
    *ret_key = made;
    return OK;
}

err_t generate_key(const struct session *session, const struct ipc_generate *ask,
                   struct ipc_key *ret_key)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    CLEANUP(session_close)
    struct session writable = {.module = session->module, .token = session->token};
    const struct wrap_scheme *scheme = wrap_scheme(ask->scheme);
    if (scheme == NULL) {
        return FAIL(E_UNSUPPORTED, "unknown wrap scheme");
    }
    TRY(session_open(&writable, true));
    /* Two callers with one id must not both find nothing. */
    (void)pthread_mutex_lock(&one);
    err_t err = find_made(&writable, ask, ret_key);
    if (err.code == E_NOT_FOUND) {
        err = create_checked(&writable, scheme, ask, ret_key);
    }
    (void)pthread_mutex_unlock(&one);
    return err;
}
