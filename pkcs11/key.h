/*
 * key: what this process knows about the KEKs on the token: handles, scheme, name, verdict,
 * fingerprint and a canary. One table for all workers; nothing secret in it. A ring key, once seen,
 * is expected to be there: a look that does not find it is not believed, see lost.h.
 */
#ifndef PKCS11_KEY_H
#define PKCS11_KEY_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "pkcs11/canary.h"
#include "pkcs11/find.h"
#include "pkcs11/wrap.h"
#include "token/ipc.h"

#define KEYS_MAX WRAP_KEKS_MAX /* also what a client takes in one listing */

struct key {
    struct wrap_kek kek; /* known by the handle of its first object */
    struct ipc_key info;
    bool has_canary;
    struct canary canary;
};

/* By its label, be that broken, it is a KEK of this or another ring. */
bool key_is_managed(const struct key *key);

/*
 * Label and CKA_ID alone. What has a length that is nonsense is not taken for empty: the key is
 * unreadable. E_TOKEN.
 */
MUST_USE err_t key_read_name(const struct session *session, const struct wrap_kek *kek,
                             struct key *ret_key);
/*
 * All objects, attributes, fingerprint and, with `probe`, the AAD probe, for a key whose name is
 * read. What cannot be read for reasons of this key is put down in key->info (IPC_KEY_UNREADABLE,
 * rv); E_TOKEN when the session, the handle or the token is at fault.
 */
MUST_USE err_t key_read_rest(const struct session *session, struct key *key, bool probe);
/* Its id, and perhaps its label, could not be read: it may be any key. Of key_read_name. */
bool key_is_nameless(const struct key *key);
/* The fingerprint alone, into key->info. E_TOKEN, E_PROTOCOL, E_UNSUPPORTED. */
MUST_USE err_t key_read_fingerprint(const struct session *session, struct key *key);

bool key_ref_equal(const struct ipc_key_ref *a, const struct ipc_key_ref *b);

/* The table. Thread safe; copies in and out. */
bool keys_by_handle(CK_OBJECT_HANDLE handle, struct key *ret_key);
bool keys_by_ref(const struct ipc_key_ref *ref, struct key *ret_key);
/*
 * Adds it, or replaces the one of the same handle. A full table forgets nothing and takes nothing.
 */
void keys_put(const struct key *key);
/* The handle is no longer good; the key stays expected. */
void keys_drop_handle(CK_OBJECT_HANDLE handle);
/* A key of this name had been read to the end before. */
bool keys_expected(const struct ipc_key_ref *ref);
/*
 * The first ring key read to the end that is none of these KEKs under its own name. False:
 * none.
 */
bool keys_missing(const char *ring, const struct wrap_kek *keks, size_t n, struct key *ret_key);

#endif
