/*
 * suite: how a DEK gets into an envelope and out of it again. One row for each suite of
 * keys/envelope.h that is served here; methods asks this file, a suite asks the store.
 *
 * To seal or to open ends with an error, with the result, or with a wait: OK with call->wait set,
 * and nothing written. Then it is asked again, with the same call, when that has happened.
 */
#ifndef SERVER_KMS_SUITE_H
#define SERVER_KMS_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "base/secret.h"
#include "keys/envelope.h"
#include "keys/key_id.h"
#include "server/kms/call.h"
#include "server/kms/token.h"

struct store;

/* What came of one call. */
struct suite_result {
    struct secret *bytes;             /* room, empty: for the envelope, or for the plaintext */
    char key_id[KEY_ID_TEXT_LEN + 1]; /* of the KEK that sealed */
};

struct suite {
    enum envelope_suite number;
    enum config_mode mode; /* the `mode:` in which it seals */
    /* Its envelopes may be opened under this configuration. */
    bool (*is_accepted)(const struct config *config);
    /* The snapshot of the store is ready. */
    err_t (*seal)(struct store *store, struct call *call, struct suite_result *result);
    err_t (*open)(struct store *store, struct call *call, struct suite_result *result);
    /* No call waits for this any more; it may be another suite's. */
    void (*abandon)(struct store *store, const struct call_wait *wait);
};

extern const struct suite suite_seed;

/* E_INVALID: none of this number that the configuration accepts. */
MUST_USE err_t suite_find(const struct config *config, uint8_t number,
                          const struct suite **ret_suite);
/* Seals the payload as the configuration says, unless the state of the KEK forbids it. */
MUST_USE err_t suite_seal(struct store *store, struct call *call, struct suite_result *result);
MUST_USE err_t suite_open(struct store *store, struct call *call, struct suite_result *result);
void suite_abandon(struct store *store, const struct call_wait *wait);

/* Returns err; E_LIMIT, that there was no room to wait in, is counted as a limit that bites. */
MUST_USE err_t suite_had_room(struct store *store, err_t err);
/* Room in the arena for what a call needs. E_LIMIT: calls have taken all of it; counted. */
MUST_USE err_t suite_room(struct store *store, size_t cap, struct secret **ret_room);

/*
 * For the suites: where the key is that wrapped the call's envelope. Nowhere: the call waits for a
 * listing. E_NOT_FOUND: no token has it; E_UNAVAILABLE: it may be one that cannot be read.
 */
MUST_USE err_t suite_find_kek(struct store *store, struct call *call,
                              struct token_place *ret_place);

#endif
