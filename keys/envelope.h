/*
 * envelope: the ciphertext that kube-apiserver stores, version 1. Frozen: golden files under
 * tests/kit/golden and docs/envelope.md hold it. Pure bytes, no crypto. Big endian.
 *
 *   off  size
 *     0   4   magic "P11K"
 *     4   1   version 1
 *     5   1   suite: 1 seed, 2 direct
 *     6   1   wrap scheme: 1 AES-256-GCM (2 and 3 reserved)
 *     7   1   api: 1 KMS v1, 2 KMS v2
 *     8  16   realm
 *    24  16   kek_id
 *    40   4   activation: the KEK's not-before, Unix seconds
 *    44   4   born: when the seed was made, Unix seconds; 0 in suite 2
 *    48   2   w, length of wrapped
 *    50   w   wrapped seed or DEK; scheme 1: iv_len (12 or 16) ‖ iv ‖ ciphertext ‖ tag (16)
 *        32   salt          suite 1 only, and all that follows
 *        32   key commitment
 *        12   IV
 *         n   ciphertext, 1..512
 *        16   tag
 *
 * Wrap AAD = bytes 0..47, with byte 7 taken as 0 in suite 1.
 */
#ifndef KEYS_ENVELOPE_H
#define KEYS_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define ENVELOPE_MAX       1024u
#define ENVELOPE_PLAIN_MAX 512u
#define ENVELOPE_WRAP_AAD  48u
#define ENVELOPE_HEAD      50u /* bytes before wrapped */
#define ENVELOPE_SALT      32u
#define ENVELOPE_COMMIT    32u
#define ENVELOPE_IV        12u
#define ENVELOPE_TAG       16u
#define ENVELOPE_REALM     16u
/* What a token makes of a seed or a DEK; the largest in sight has 592 (scheme 2, suite 2). */
#define ENVELOPE_WRAPPED_MAX 600u
#define KEK_ID_LEN         16u
#define SEED_LEN           32u

enum envelope_suite { ENVELOPE_SEED = 1, ENVELOPE_DIRECT = 2 };
enum envelope_scheme { ENVELOPE_AES_GCM = 1 };
enum envelope_api { ENVELOPE_V1 = 1, ENVELOPE_V2 = 2 };

/* The fields that name a seed; what the wrap AAD is made of. */
struct envelope_head {
    uint8_t suite;
    uint8_t scheme;
    uint8_t api;
    uint8_t realm[ENVELOPE_REALM];
    uint8_t kek_id[KEK_ID_LEN];
    uint32_t activation;
    uint32_t born;
};

/* A parsed envelope. The spans borrow from the bytes given to envelope_parse. */
struct envelope {
    struct envelope_head head;
    struct span wrapped;
    struct span salt;       /* empty in suite 2, as all below */
    struct span commitment;
    struct span iv;
    struct span ciphertext;
    struct span tag;
    struct span before_salt; /* the context of the derivation */
    struct span before_iv;   /* the AAD of the sealing */
};

/*
 * Closed allow-lists, exact lengths, nothing left over. E_INVALID otherwise (one text for all: what
 * was wrong with foreign bytes is nobody's business).
 */
MUST_USE err_t envelope_parse(struct span bytes, struct envelope *ret_envelope);

/* What people call the wrap scheme of this number; NULL: it is none of ours. */
const char *envelope_scheme_name(uint8_t scheme);

/* Its bytes were copied from `from` to `to`: from now on its spans borrow from there. */
void envelope_rebase(struct envelope *envelope, const uint8_t *from, const uint8_t *to);

/* Writes bytes 0..49 and `wrapped`. */
void envelope_write_head(struct writer *w, const struct envelope_head *head, struct span wrapped);

/* The 48 bytes of wrap AAD. */
void envelope_wrap_aad(const struct envelope_head *head, uint8_t ret_aad[ENVELOPE_WRAP_AAD]);

#endif
