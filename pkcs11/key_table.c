#include <pthread.h>

#include "pkcs11/key.h"

struct entry {
    struct key key;
    bool live; /* the handle may be used */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry entries[KEYS_MAX];
static size_t entries_n;

static struct entry *by_handle(CK_OBJECT_HANDLE handle)
{
    for (size_t i = 0; i < entries_n; i++) {
        if (entries[i].live && entries[i].key.kek.handles[0] == handle) {
            return &entries[i];
        }
    }
    return NULL;
}

static struct entry *by_ref(const struct ipc_key_ref *ref, bool live)
{
    for (size_t i = 0; i < entries_n; i++) {
        if (entries[i].live >= live && entries[i].key.info.state == IPC_KEY_READ &&
            key_ref_equal(&entries[i].key.info.ref, ref)) {
            return &entries[i];
        }
    }
    return NULL;
}

static bool give(const struct entry *entry, struct key *ret_key)
{
    if (entry == NULL) {
        return false;
    }
    *ret_key = entry->key;
    return true;
}

bool keys_by_handle(CK_OBJECT_HANDLE handle, struct key *ret_key)
{
    (void)pthread_mutex_lock(&lock);
    bool found = give(by_handle(handle), ret_key);
    (void)pthread_mutex_unlock(&lock);
    return found;
}

bool keys_by_ref(const struct ipc_key_ref *ref, struct key *ret_key)
{
    (void)pthread_mutex_lock(&lock);
    bool found = give(by_ref(ref, true), ret_key);
    (void)pthread_mutex_unlock(&lock);
    return found;
}

/* A handle that the module gave out anew for the key we knew under another one takes its place. */
static struct entry *place_for(const struct key *key)
{
    struct entry *entry = by_handle(key->kek.handles[0]);
    if (entry == NULL && key->info.state == IPC_KEY_READ) {
        entry = by_ref(&key->info.ref, false);
        if (entry != NULL && entry->live) {
            entry = NULL; /* two objects of one value: both are kept */
        }
    }
    if (entry == NULL && entries_n < KEYS_MAX) {
        entry = &entries[entries_n++];
    }
    return entry;
}

void keys_put(const struct key *key)
{
    (void)pthread_mutex_lock(&lock);
    struct entry *entry = place_for(key);
    if (entry != NULL) {
        entry->key = *key;
        entry->live = true;
    }
    (void)pthread_mutex_unlock(&lock);
}

void keys_drop_handle(CK_OBJECT_HANDLE handle)
{
    (void)pthread_mutex_lock(&lock);
    struct entry *entry = by_handle(handle);
    if (entry != NULL) {
        entry->live = false;
    }
    (void)pthread_mutex_unlock(&lock);
}

bool keys_expected(const struct ipc_key_ref *ref)
{
    (void)pthread_mutex_lock(&lock);
    bool expected = by_ref(ref, false) != NULL;
    (void)pthread_mutex_unlock(&lock);
    return expected;
}

static bool is_among(const struct entry *entry, const struct wrap_kek *keks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (keks[i].handles[0] == entry->key.kek.handles[0]) {
            return true;
        }
    }
    return false;
}

bool keys_missing(const char *ring, const struct wrap_kek *keks, size_t n, struct key *ret_key)
{
    bool missing = false;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < entries_n && !missing; i++) {
        const struct entry *entry = &entries[i];
        missing = entry->key.info.state == IPC_KEY_READ &&
                  ipc_key_of_ring(&entry->key.info, ring) &&
                  !(entry->live && is_among(entry, keks, n)) && give(entry, ret_key);
    }
    (void)pthread_mutex_unlock(&lock);
    return missing;
}
