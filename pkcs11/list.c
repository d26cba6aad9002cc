#include "pkcs11/list.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "pkcs11/audit.h"
#include "pkcs11/lie.h"
#include "pkcs11/lost.h"
#include "pkcs11/rv.h"

static pthread_mutex_t one_listing = PTHREAD_MUTEX_INITIALIZER;

static void unlock_p(pthread_mutex_t **mutex)
{
    (void)pthread_mutex_unlock(*mutex);
}

/* Once per key and verdict: what the table knew before is `known`, or NULL. */
static void log_verdict(const struct key *key, const struct key *known)
{
    char names[300];
    uint32_t faults = key->info.bad & ~(uint32_t)IPC_ATTR_REPORTED_ONLY;
    if ((!key_is_managed(key) && !key_is_nameless(key)) ||
        (known != NULL && known->info.state == key->info.state && known->info.rv == key->info.rv)) {
        return;
    }
    if (key->info.state == IPC_KEY_NO_ID) {
        log_event(EVENT_TOKEN_KEY_WITHOUT_ID, LOG_TEXT("label", key->info.label));
    } else if (key->info.state == IPC_KEY_UNREADABLE) {
        log_event(EVENT_TOKEN_KEY_UNREADABLE, LOG_TEXT("label", key->info.label),
                  LOG_TEXT("rv", key->info.rv == CKR_OK ? "none" : rv_name(key->info.rv)));
    } else if (faults != 0) {
        audit_names(faults, names, sizeof(names));
        log_event(EVENT_TOKEN_KEY_BAD, LOG_TEXT("label", key->info.label),
                  LOG_TEXT("attributes", names));
    }
}

static bool wanted(const struct ipc_list *ask, const struct key *key)
{
    return ask->all != 0 || ipc_key_of_ring(&key->info, ask->ring) || ipc_key_unnamed(&key->info);
}

/* Nobody takes a key's whole name away, but a module out of order seems to. */
static bool lost_its_name(const struct key *key, const struct key *now)
{
    err_t err = OK;
    if (now->info.state == IPC_KEY_NO_ID) {
        err = LIE("C_GetAttributeValue says that a key with a CKA_ID has no CKA_ID",
                  key->kek.handles[0]);
    } else if (now->info.label[0] == '\0' && key->info.label[0] != '\0') {
        err = LIE("C_GetAttributeValue says that a key with a label has no label",
                  key->kek.handles[0]);
    }
    return failed(err);
}

/*
 * A known key: its name again, and for the serving one the fingerprint, which must be what it was.
 * Where that cannot be read, what is known stands.
 */
static err_t look_again(const struct session *session, const struct ipc_list *ask, struct key *key)
{
    struct key now;
    TRY(key_read_name(session, &key->kek, &now));
    if (key_is_nameless(&now) || lost_its_name(key, &now)) {
        return OK;
    }
    if (!span_equal(span_of(now.info.ref.id, now.info.ref.id_len),
                    span_of(key->info.ref.id, key->info.ref.id_len))) {
        keys_drop_handle(key->kek.handles[0]); /* the key that had this handle stays expected */
        *key = now;
        return key_read_rest(session, key, true);
    }
    span_move(key->info.label, now.info.label, sizeof(key->info.label));
    key->info.activation = now.info.activation;
    /* By its id: after one look that showed another value the next must be a look again. */
    if (ask->has_serving != 0 && span_equal(span_of(ask->serving.id, ask->serving.id_len),
                                            span_of(key->info.ref.id, key->info.ref.id_len))) {
        TRY(key_read_fingerprint(session, key));
    }
    return OK;
}

static err_t look_first(const struct session *session, const struct ipc_list *ask, struct key *key,
                        bool known)
{
    struct key now;
    TRY(key_read_name(session, &key->kek, &now));
    if (wanted(ask, &now)) {
        TRY(key_read_rest(session, &now, ipc_key_of_ring(&now.info, ask->ring)));
    }
    if (wanted(ask, &now)) {
        log_verdict(&now, known ? key : NULL);
    }
    *key = now;
    return OK;
}

static err_t look(const struct session *session, const struct ipc_list *ask,
                  const struct wrap_kek *kek, struct key *ret_key)
{
    struct key key = {.kek = *kek};
    bool known = keys_by_handle(kek->handles[0], &key);
    if (!known || wanted(ask, &key)) {
        if (known && key.info.state == IPC_KEY_READ) {
            TRY(look_again(session, ask, &key));
        } else {
            TRY(look_first(session, ask, &key, known));
        }
        keys_put(&key);
    }
    *ret_key = key;
    return OK;
}

static err_t gather(const struct session *session, const struct ipc_list *ask,
                    const struct wrap_kek *keks, size_t n, struct listing *listing)
{
    for (size_t i = 0; i < n; i++) {
        struct key key;
        TRY(look(session, ask, &keks[i], &key));
        if (wanted(ask, &key)) {
            listing->keys[listing->n++] = key.info;
        }
    }
    return OK;
}

/* What is not there is only believed of a token that is there. */
static void check_token(const struct session *session)
{
    CK_FLAGS flags;
    err_t err = find_token_patiently(session->module, session->token, &flags);
    if (failed(err)) {
        token_lost("the token does not answer", err);
    }
}

void listing_free(struct listing *listing)
{
    free(listing->keys);
    listing->keys = NULL;
    listing->n = 0;
}

/* *ret_missing: a ring key that was there before is not in it. */
static err_t list_once(const struct session *session, const struct ipc_list *ask,
                       struct listing *ret_listing, bool *ret_missing)
{
    struct wrap_kek keks[KEYS_MAX];
    size_t n = 0;
    TRY(wrap_find(session, span_of(NULL, 0), keks, KEYS_MAX, &n));
    struct listing listing = {.keys = calloc(n + 1, sizeof(struct ipc_key))};
    if (listing.keys == NULL) {
        return FAIL(E_LIMIT, "out of memory");
    }
    err_t err = gather(session, ask, keks, n, &listing);
    if (failed(err)) {
        listing_free(&listing);
        return err;
    }
    struct key gone;
    *ret_missing = keys_missing(ask->ring, keks, n, &gone);
    *ret_listing = listing;
    return OK;
}

err_t list_keys(const struct session *session, const struct ipc_list *ask,
                struct listing *ret_listing)
{
    (void)pthread_mutex_lock(&one_listing);
    CLEANUP(unlock_p) pthread_mutex_t *held = &one_listing;
    (void)held;
    for (int i = 0; i < FIND_LOOKS; i++) {
        struct listing listing;
        bool missing = false;
        TRY(list_once(session, ask, &listing, &missing));
        check_token(session);
        if (!missing) {
            *ret_listing = listing;
            return OK;
        }
        listing_free(&listing);
        (void)poll(NULL, 0, FIND_LOOK_MS);
    }
    token_lost("a key that was there is not listed", FAIL(E_NOT_FOUND, "key missing"));
}

/* E_TOKEN when a key of this id is there but cannot be read: it may be the one. */
static err_t find_by_id(const struct session *session, const struct ipc_key_ref *ref,
                        struct key *ret_key)
{
    struct wrap_kek keks[16];
    size_t n = 0;
    err_t none = FAIL(E_NOT_FOUND, "no such key on the token");
    TRY(wrap_find(session, span_of(ref->id, ref->id_len), keks, 16, &n));
    for (size_t i = 0; i < n; i++) {
        struct key key;
        struct key before;
        bool known = keys_by_handle(keks[i].handles[0], &before);
        TRY(key_read_name(session, &keks[i], &key));
        TRY(key_read_rest(session, &key, key_is_managed(&key)));
        log_verdict(&key, known ? &before : NULL);
        keys_put(&key);
        if (key.info.state == IPC_KEY_READ && key_ref_equal(&key.info.ref, ref)) {
            *ret_key = key;
            return OK;
        }
        if (key.info.state == IPC_KEY_UNREADABLE) {
            none = FAIL_DETAIL(E_TOKEN, key.info.rv, "a key of this id cannot be read");
        }
    }
    return none;
}

err_t list_find(const struct session *session, const struct ipc_key_ref *ref, struct key *ret_key)
{
    if (keys_by_ref(ref, ret_key)) {
        return OK;
    }
    err_t err = find_by_id(session, ref, ret_key);
    for (int i = 1; err.code == E_NOT_FOUND && i < FIND_LOOKS; i++) {
        check_token(session);
        if (!keys_expected(ref)) {
            return err;
        }
        (void)poll(NULL, 0, FIND_LOOK_MS);
        err = find_by_id(session, ref, ret_key);
    }
    if (err.code == E_NOT_FOUND) {
        token_lost("a key that was there is not found", err);
    }
    return err;
}
