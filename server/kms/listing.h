/*
 * listing: what a key of a token listing means to the ring: its dates from the label, its name from
 * id and fingerprint, its verdict from the attributes. Pure.
 */
#ifndef SERVER_KMS_LISTING_H
#define SERVER_KMS_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "keys/ring.h"
#include "token/ipc.h"

/*
 * A key of the ring, or one that may be of it (ring_unnamed). E_NOT_FOUND: of another ring, or no
 * KEK of ours. E_INVALID: a label of this ring that is broken, or a CKA_ID empty or too long:
 * refused, and not part of the listing.
 */
MUST_USE err_t listing_ring_key(const struct ipc_key *key, const struct config *config,
                                struct ring_key *ret_key);

/* kek_id of any key; E_INVALID while its fingerprint is unknown. */
MUST_USE err_t listing_kek_id(const struct ipc_key *key, uint8_t ret_kek_id[KEK_ID_LEN]);

#endif
