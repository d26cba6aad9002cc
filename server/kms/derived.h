/*
 * derived: derived keys of envelopes that opened, so that the same envelope opens again without the
 * derivation. Least recently used, in the arena, wiped on eviction. Keyed by SHA-256 of every byte
 * of the envelope before the IV; an entry is made only after the envelope authenticated.
 */
#ifndef SERVER_KMS_DERIVED_H
#define SERVER_KMS_DERIVED_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/span.h"

struct derived;

/* max 0: off. */
MUST_USE err_t derived_new(size_t max, struct derived **ret_derived);
void derived_free(struct derived *derived);
DEFINE_CLEANUP(struct derived *, derived_free)

/*
 * The 64 bytes for an envelope with these bytes before its IV; empty when not here. Until the next
 * add.
 */
struct span derived_find(struct derived *derived, struct span before_iv);
/* Keeps it when there is room in the arena; a cache may forget. Takes `keys`. */
void derived_add(struct derived *derived, struct span before_iv, struct secret *keys);
size_t derived_count(const struct derived *derived);

#endif
