/*
 * listing: what a key of a token listing means to the ring: its dates from the label, its name from id
 * and fingerprint, its verdict from the attributes. Pure.
 */
#ifndef SERVER_KMS_LISTING_H
#define SERVER_KMS_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "keys/ring.h"
#include "pkcs11/ipc.h"

/* How the cryptography works is no question of policy: no waiver covers these. */
#define LISTING_NEVER_WAIVED (IPC_ATTR_AAD | IPC_ATTR_VALUE | IPC_ATTR_ENCRYPT | IPC_ATTR_DECRYPT)

/* Attributes that speak against a key: bad ones and those that the token does not report. */
uint32_t listing_faults(const struct ipc_key *key);

/*
 * A key of the ring. E_NOT_FOUND: of another ring, or no KEK of ours. E_INVALID: a label of this ring that
 * is broken, or an empty CKA_ID: refused, and not part of the listing.
 */
MUST_USE err_t listing_ring_key(const struct ipc_key *key, const struct config *config,
                                struct ring_key *ret_key);

/* kek_id of any key; E_INVALID while its fingerprint is unknown. */
MUST_USE err_t listing_kek_id(const struct ipc_key *key, uint8_t ret_kek_id[KEK_ID_LEN]);

/* "CKA_LOCAL, CKA_SIGN": names of the bits, cut to the room. */
void listing_fault_names(uint32_t faults, char *ret_text, size_t size);

#endif
