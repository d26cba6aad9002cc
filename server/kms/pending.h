/*
 * pending: seeds that were open in the process before this one and are not yet open in it. They are
 * re-opened in the background, the most recently used first; the own young one of a KEK is asked
 * for by name, so that the first Status after a restart is soon true.
 */
#ifndef SERVER_KMS_PENDING_H
#define SERVER_KMS_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/ring.h"
#include "server/kms/seeds.h"

struct pending {
    struct seed_name *names; /* heap; NULL when nothing is remembered */
    bool *gone;
    size_t n;
    size_t left;
    size_t next; /* background goes on here */
};

void pending_done(struct pending *pending);
/* Reads a state file. E_INVALID: ignored as broken. */
MUST_USE err_t pending_load(struct pending *pending, struct seal *seal, struct span bytes,
                            const uint8_t realm[ENVELOPE_REALM]);

/* NULL: not remembered, open already, or never to be opened. */
const struct seed_name *pending_find(const struct pending *pending, const uint8_t key[32]);
/* It is open now, or never opens. */
void pending_remove(struct pending *pending, const uint8_t key[32]);
/*
 * The next one for the background, or NULL. Comes again after a full round while it is not removed.
 */
const struct seed_name *pending_next(struct pending *pending);
/* The newest own seed of this KEK and activation born in (now - life, now]; NULL none. */
const struct seed_name *pending_young(const struct pending *pending, const struct ring_key *key,
                                      int64_t now_s, int64_t life_s);
/* Iteration over what is left, in order; *at starts at 0. NULL at the end. */
const struct seed_name *pending_each(const struct pending *pending, size_t *at);

/* Age in seconds of a seed at now_s: from the later of born and activation. */
int64_t seed_age_s(const struct envelope_head *head, int64_t now_s);

#endif
