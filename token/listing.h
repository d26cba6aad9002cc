/*
 * listing: what a key that a token lists is to one ring: of it or not, by which name, may it seal,
 * and why not. The one judgement: by it the daemon seals, and p11-kmsctl shows it. Pure.
 */
#ifndef TOKEN_LISTING_H
#define TOKEN_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "keys/ring.h"
#include "token/ipc.h"

enum listing_place {
    LISTING_ELSEWHERE, /* of another ring, or no KEK of ours */
    LISTING_UNNAMED,   /* not even its label could be read: it may be of this ring */
    LISTING_BROKEN,    /* its label is of this ring, and broken: without dates it never seals */
    LISTING_IN_RING
};

struct listing_key {
    enum listing_place place;
    /*
     * In the ring: its dates, name and verdict. Unnamed: as ring_unnamed. A failure is no verdict:
     * what could not be read to the end is RING_UNKNOWN, and has a kek_id if its fingerprint was
     * read. That there is no CKA_ID by which to name a key has been read: RING_BAD.
     */
    struct ring_key ring;
    uint32_t faults; /* enum ipc_attribute bits that speak against it, waived ones too */
    bool waived;     /* by the configuration, which had something to waive */
};

/* token: whose key it is, for its waivers. */
void listing_judge(const struct ipc_key *key, const char *ring, const struct config_token *token,
                   struct listing_key *ret_judged);
enum listing_place listing_place(const struct ipc_key *key, const char *ring);

/* Of any key. E_INVALID: it has none that is known, for its CKA_ID or fingerprint is missing. */
MUST_USE err_t listing_kek_id(const struct ipc_key *key, uint8_t ret_kek_id[KEK_ID_LEN]);

/* What speaks against the key as a KEK, in words with ", " between; "" for nothing. */
void listing_faults(const struct ipc_key *key, char *ret_text, size_t size);

#endif
