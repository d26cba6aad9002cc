/*
 * wrap: the schemes by which a KEK wraps. A scheme is a row: which objects on the token it is made
 * of, what they must be, and how it wraps, unwraps and is known. A file wrap_<scheme>.c defines it,
 * wrap_table.c lists it. Nobody else knows which kinds of keys, mechanisms and lengths there are:
 * listing, finding, generating, auditing, canaries and the recovery of a call work from the row.
 */
#ifndef PKCS11_WRAP_H
#define PKCS11_WRAP_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "pkcs11/session.h"
#include "token/ipc.h"

#define WRAP_OBJECTS_MAX 2u
#define WRAP_KEKS_MAX    1024u /* that are looked at on a token */

struct wrap_scheme;

/* A KEK on the token. Its objects have one CKA_ID; the first one's label is the KEK's. */
struct wrap_kek {
    const struct wrap_scheme *scheme;
    CK_OBJECT_HANDLE handles[WRAP_OBJECTS_MAX]; /* in the order of the scheme's objects */
};

/* A flag that an object of a KEK must have, or must not. */
struct wrap_rule {
    CK_ATTRIBUTE_TYPE type;
    uint32_t bit; /* enum ipc_attribute */
    bool must;
    bool given; /* part of the template; the others follow from how the object came to be */
};

/* A kind of object that a KEK is made of. */
struct wrap_object {
    CK_OBJECT_CLASS class;
    CK_KEY_TYPE type;
    const struct wrap_rule *rules;
    size_t rules_n;
    CK_ULONG value_len; /* what CKA_VALUE_LEN must say; 0: it has none */
};

struct wrap_mechanism {
    CK_MECHANISM_TYPE type;
    enum ipc_mechanism name;
};

/* A new KEK: what its objects are called. */
struct wrap_new {
    struct span id;
    struct span label;
    bool modifiable_said; /* CKA_MODIFIABLE false is in the template; not every token takes it */
};

struct wrap_scheme {
    uint8_t number; /* enum envelope_scheme */
    unsigned objects_n;
    const struct wrap_object *objects[WRAP_OBJECTS_MAX];
    const struct wrap_mechanism *needs; /* before a KEK is made; the first that lacks is told */
    size_t needs_n;

    /* Makes the objects; see make.h. E_TOKEN, E_PROTOCOL: made, but under a handle that is none. */
    err_t (*generate)(const struct session *session, const struct wrap_new *what,
                      CK_OBJECT_HANDLE ret_handles[WRAP_OBJECTS_MAX]);
    /*
     * One look at what the KEK's value makes of a fixed text; key.c looks twice. E_TOKEN,
     * E_PROTOCOL.
     */
    err_t (*fingerprint)(const struct session *session, const struct wrap_kek *kek,
                         uint8_t ret_bytes[IPC_FINGERPRINT_MAX], uint8_t *ret_len);
    /*
     * E_LIMIT: a size out of range. E_TOKEN. E_PROTOCOL: a length that cannot be. E_UNSUPPORTED:
     * the token does not wrap so. Nothing is left in `out` on failure.
     */
    err_t (*wrap)(const struct session *session, const struct wrap_kek *kek, struct span aad,
                  struct span data, struct span_mut out, size_t *ret_len);
    /*
     * E_INVALID: malformed. E_PROTOCOL. E_TOKEN as the module says. `out` must hold wrapped.len
     * bytes: some modules want room for the ciphertext. Nothing is left in it on failure.
     */
    err_t (*unwrap)(const struct session *session, const struct wrap_kek *kek, struct span aad,
                    struct span wrapped, struct span_mut out, size_t *ret_len);
    /* This error of unwrap may mean that the bytes do not authenticate. Its detail says how. */
    bool (*is_refusal)(err_t err);
};

/* Every scheme; of two that begin with the same kind of object the one of more objects is first. */
const struct wrap_scheme *const *wrap_table(size_t *ret_n);

/* NULL: unknown. */
const struct wrap_scheme *wrap_scheme(uint8_t number);

/*
 * The first objects of all KEKs on the token, with `id` those of that CKA_ID only; their scheme is
 * settled by wrap_complete. E_LIMIT: more than max are there. max: up to WRAP_KEKS_MAX.
 */
MUST_USE err_t wrap_find(const struct session *session, struct span id, struct wrap_kek *keks,
                         size_t max, size_t *ret_n);
/*
 * Finds the other objects of a KEK of this CKA_ID, and by them its scheme. E_NOT_FOUND: there are
 * not those of any scheme. E_LIMIT: one of
 * them is there twice. E_TOKEN, E_PROTOCOL.
 */
MUST_USE err_t wrap_complete(const struct session *session, struct span id, struct wrap_kek *kek);

#endif
