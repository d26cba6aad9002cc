/*
 * remember: the state file of wrapped seeds that were open here (STATE_SEEDS). Nothing in it is
 * secret and it is safe to lose: with it a restart knows what to re-open, and which own seed to
 * seal on with.
 *
 *   4  magic "P11S"
 *   1  version 2
 *  16  realm
 *   then up to 4096 times, the most recently used first:
 *   1  own: 1 when this node made the seed
 *   1  wrap scheme
 *  16  kek_id
 *   4  activation
 *   4  born
 *   2  w, length of wrapped (in version 1, which is still read, one byte)
 *   w  wrapped
 */
#ifndef SERVER_KMS_REMEMBER_H
#define SERVER_KMS_REMEMBER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "server/kms/seeds.h"

#define REMEMBER_HEAD  21u
#define REMEMBER_ENTRY (28u + ENVELOPE_WRAPPED_MAX)
#define REMEMBER_MAX   (REMEMBER_HEAD + SEEDS_MAX * REMEMBER_ENTRY)

/*
 * All or nothing, at most `max` names; their `key` is left zero (it takes a hash). E_INVALID:
 * broken, of a later version, of another realm, or too many.
 */
MUST_USE err_t remember_parse(struct span bytes, const uint8_t realm[ENVELOPE_REALM],
                              struct seed_name *names, size_t max, size_t *ret_n);

void remember_begin(struct writer *w, const uint8_t realm[ENVELOPE_REALM]);
void remember_put(struct writer *w, const struct seed_name *name);

#endif
