/*
 * refused: keys of the ring that may not seal, or are ignored, and why; each is said once, and once
 * more when it changes.
 */
#ifndef SERVER_KMS_REFUSED_H
#define SERVER_KMS_REFUSED_H

#include <stddef.h>
#include <stdint.h>

#include "keys/ring.h"
#include "token/ipc.h"
#include "token/listing.h"

#define REFUSED_MAX 64u

struct refused {
    struct {
        uint8_t kek_id[KEK_ID_LEN];
        uint32_t faults;
    } said[REFUSED_MAX];
    size_t said_n;
    struct {
        char label[64]; /* as in struct ipc_key: such a key has no other name */
        enum listing_place place;
    } nameless[REFUSED_MAX];
    size_t nameless_n;
    char text[180]; /* the best ranking one of the last listing; empty when none is refused */
    struct ring_key best;
};

/* A listing begins. */
void refused_begin(struct refused *refused);
/* Any key of it; what is not to be refused or ignored changes nothing. */
void refused_take(struct refused *refused, const struct ipc_key *key,
                  const struct listing_key *judged);

#endif
