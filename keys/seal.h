/*
 * seal: DEKs under a seed (suite 1). SP 800-108 counter-mode KBKDF with HMAC-SHA-256 gives an
 * encryption key and a commitment per envelope; AES-256-GCM seals. See docs/envelope.md. One
 * context a thread; it keeps fetched OpenSSL objects and a pool of random bytes in the secret
 * arena, wiped as used.
 */
#ifndef KEYS_SEAL_H
#define KEYS_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/span.h"
#include "keys/envelope.h"

#define SEAL_DERIVED_LEN 64u /* encryption key ‖ commitment */

struct seal;

/* Checks its fast derivation against EVP_KDF KBKDF before it returns: E_BUG when they differ. */
MUST_USE err_t seal_new(struct seal **ret_seal);
void seal_free(struct seal *seal);
DEFINE_CLEANUP(struct seal *, seal_free)

/* What seals: a seed with the fields and the wrapped form that name it. Borrowed. */
struct seal_seed {
    const struct envelope_head *head; /* api is ignored: given with each call */
    struct span wrapped;
    struct span seed; /* 32 bytes in the arena */
};

/*
 * Writes a whole envelope for `plaintext` (1..512 bytes, else E_INVALID) into out; *ret_len is its
 * length. E_LIMIT when it would exceed out or ENVELOPE_MAX. Fresh salt and IV each time.
 */
MUST_USE err_t seal_make(struct seal *seal, const struct seal_seed *seed, uint8_t api,
                         struct span plaintext, struct span_mut out, size_t *ret_len);

/*
 * Derives the 64 bytes for this envelope from its seed. out: SEAL_DERIVED_LEN bytes in the arena.
 */
MUST_USE err_t seal_derive(struct seal *seal, const struct envelope *envelope, struct span seed,
                           struct span_mut out);

/* These derived bytes are those of the envelope: its commitment, compared in constant time. */
bool seal_commits(const struct envelope *envelope, struct span derived);

/*
 * Opens with derived bytes: commitment in constant time, then GCM. Plaintext goes to out (in the
 * arena), which is wiped on failure. E_CRYPTO with one text for every mismatch.
 */
MUST_USE err_t seal_open(struct seal *seal, const struct envelope *envelope, struct span derived,
                         struct span_mut out, size_t *ret_len);

/* n random bytes from the pool; for seeds give a room in the arena. */
MUST_USE err_t seal_random(struct seal *seal, struct span_mut out);

/* SHA-256(wrap AAD ‖ wrapped): the key of the seed cache and of coalescing. */
MUST_USE err_t seal_seed_key(struct seal *seal, const struct envelope_head *head,
                             struct span wrapped, uint8_t ret_key[32]);

#endif
