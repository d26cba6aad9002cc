/* ring_keys: what of a listing the rotation gets to see; what is refused or ignored is said. */
#ifndef SERVER_KMS_RING_KEYS_H
#define SERVER_KMS_RING_KEYS_H

#include <stddef.h>

#include "base/config.h"
#include "keys/ring.h"
#include "server/kms/refused.h"
#include "server/rotation/rotation.h"
#include "token/client.h"

/* Of a complete listing of the token config->tokens[token]. Returns how many. */
size_t ring_keys_of(const struct config *config, size_t token, const struct client_reply *reply,
                    struct refused *refused, struct ring_key ret_keys[ROTATION_KEYS_MAX]);

#endif
