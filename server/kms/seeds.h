/*
 * seeds: the seeds that are open in this process, at most SEEDS_MAX, in the arena, the least
 * recently used one wiped for a new one. Keyed by SHA-256(wrap AAD ‖ wrapped). What names a seed
 * (head, wrapped) is public and lies in ordinary memory.
 */
#ifndef SERVER_KMS_SEEDS_H
#define SERVER_KMS_SEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/span.h"
#include "keys/envelope.h"
#include "keys/seal.h"

#define SEEDS_MAX 4096u

/*
 * Names a wrapped seed; nothing in it is secret. A table of them is taken zeroed and not filled, so
 * that it costs memory for those in it only.
 */
struct seed_name {
    uint8_t key[32]; /* SHA-256(wrap AAD ‖ wrapped) */
    struct envelope_head head; /* api is 0 */
    bool own;                  /* made by this node: it may seal while it is young */
    uint16_t wrapped_len;
    uint8_t wrapped[ENVELOPE_WRAPPED_MAX];
};

/* Fills in the name. E_INVALID: no wrapped seed is that long. */
MUST_USE err_t seed_name_of(struct seal *seal, const struct envelope_head *head,
                            struct span wrapped, bool own, struct seed_name *ret_name);
struct span seed_name_wrapped(const struct seed_name *name);

struct seed {
    struct seed_name name;
    struct secret *bytes; /* SEED_LEN; NULL in a slot that holds none */
    bool confirmed;       /* a commitment matched, or it was made and compared here */
    int64_t reopened_ms;  /* boot ms of the second answer, when the first did not fit; or 0 */
};

struct seeds;

MUST_USE err_t seeds_new(size_t max, struct seeds **ret_seeds);
void seeds_free(struct seeds *seeds);
DEFINE_CLEANUP(struct seeds *, seeds_free)

/* NULL when it is not open. Valid until the next seeds_add, for ever while pinned. */
const struct seed *seeds_find(struct seeds *seeds, const uint8_t key[32]);
/*
 * Copies both. A seed that is here already is kept (`own` is added), but for one that is not
 * confirmed: these bytes replace it. E_LIMIT: the arena part is used up.
 */
MUST_USE err_t seeds_add(struct seeds *seeds, const struct seed_name *name, struct span seed,
                         const struct seed **ret_seed);
void seeds_confirm(struct seeds *seeds, const struct seed *seed);
void seeds_mark_reopened(struct seeds *seeds, const struct seed *seed, int64_t boot_ms);
/* Wipes it; not for one that is pinned. */
void seeds_drop(struct seeds *seeds, const struct seed *seed);
/* What seals is not evicted. */
void seeds_pin(struct seeds *seeds, const struct seed *seed);
void seeds_unpin(struct seeds *seeds, const struct seed *seed);

/* From the youngest in use to the oldest; start with NULL. */
const struct seed *seeds_next(const struct seeds *seeds, const struct seed *seed);
size_t seeds_count(const struct seeds *seeds);

#endif
