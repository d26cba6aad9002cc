/*
 * refused: keys of the ring that may not seal, or are ignored, and why; each is said once, and once
 * more when it changes.
 */
#ifndef SERVER_KMS_REFUSED_H
#define SERVER_KMS_REFUSED_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "keys/ring.h"
#include "token/ipc.h"

#define REFUSED_MAX 64u

struct refused {
    struct {
        uint8_t kek_id[KEK_ID_LEN];
        uint32_t faults;
    } said[REFUSED_MAX];
    size_t said_n;
    struct {
        char label[64]; /* as in struct ipc_key: such a key may have no other name */
        const char *why;           /* literal */
    } ignored[REFUSED_MAX];
    size_t ignored_n;
    char text[160]; /* the best ranking one of the last listing; empty when none is refused */
    struct ring_key best;
};

/* A listing begins. */
void refused_begin(struct refused *refused);
/* A key of the ring whose verdict is RING_BAD. */
void refused_take(struct refused *refused, const struct ipc_key *key,
                  const struct ring_key *ring_key);
/* A key that bears a label of the ring and is no part of it. */
void refused_ignore(struct refused *refused, const struct ipc_key *key, err_t why);

#endif
