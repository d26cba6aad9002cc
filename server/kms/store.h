/*
 * store: the seeds and KEKs of this process, and everything that happens to them over time. Wires
 * the tokens, the seed cache, the prover, the rotation and the health; the suites seal and open
 * with it. Split by job: store.c (life, what the tokens say, time), store_unwrap.c (seeds that a
 * token opens), store_report.c (the facts of what is reported). What is kept is kept's, what is
 * said is report's. One thread, never blocks.
 *
 * Status and Encrypt read one snapshot, replaced in one assignment.
 */
#ifndef SERVER_KMS_STORE_H
#define SERVER_KMS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/secret.h"
#include "keys/envelope.h"
#include "keys/key_id.h"
#include "keys/seal.h"
#include "server/health/health.h"
#include "server/kms/call.h"
#include "server/kms/derived.h"
#include "server/kms/kept.h"
#include "server/kms/limits.h"
#include "server/kms/mend.h"
#include "server/kms/negative.h"
#include "server/kms/outputs.h"
#include "server/kms/pending.h"
#include "server/kms/prover.h"
#include "server/kms/report.h"
#include "server/kms/seeds.h"
#include "server/kms/times.h"
#include "server/kms/token.h"
#include "server/rotation/rotation.h"

#define STORE_FIRST_MS 1000 /* so long after its start Status waits for the first proof */

struct store_events {
    void *ctx;
    /*
     * What calls may wait for has happened: they are to be tried again. With err: it will not, and
     * they are to be told so.
     */
    void (*on_happened)(void *ctx, const struct call_wait *what, err_t err);
};

/* What Status names and Encrypt uses. */
struct snapshot {
    bool ready; /* its KEK is proven: calls may be sealed */
    struct ring_key key;
    char key_id[KEY_ID_TEXT_LEN + 1];
    const struct seed *write; /* for suite_seed: pinned by the prover */
};

struct store {
    struct config config;
    struct store_events events;
    struct kms_outputs outputs;
    uint8_t realm[ENVELOPE_REALM];
    int64_t started_ms; /* boot ms */
    struct seal *seal;
    struct seeds *seeds;
    struct derived *derived;
    struct negative *negative;
    struct pending pending;
    struct tokens tokens;
    struct prover prover;
    struct rotation rotation;
    struct limits limits;
    struct snapshot snapshot;
    struct report report;
    struct kept kept;
    int64_t background_ms;      /* boot ms: re-opening pauses until then */
};

MUST_USE err_t store_new(const struct config *config, const struct store_events *events,
                         const struct kms_outputs *outputs, struct store **ret_store);
void store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free)

void store_remember(struct store *store, enum state_file file, struct span bytes);
void store_start(struct store *store);
void store_tick(struct store *store);
int64_t store_next_ms(const struct store *store);
void store_reload(struct store *store, const struct config *config);
struct times store_now(const struct store *store);
/* See service_stored and service_storing (kms.h). */
void store_stored(struct store *store, enum state_file file, err_t err);
void store_storing(struct store *store, unsigned what, const char *why);

/*
 * store_unwrap.c: a seed that was asked for; and some of those that were open before the restart.
 */
void store_take_unwrap(struct store *store, const struct unwrap *unwrap,
                       const struct client_reply *reply, struct times now);
void store_reopen_some(struct store *store, struct times now);

/* store_report.c: what the health follows from, and the state that it is. */
struct health_facts store_health(const struct store *store, struct times now);
enum health_state store_state(const struct store *store, struct times now);
void store_mend(const struct store *store, struct times now, char *ret_text, size_t size);
/* key_id that Status names: of what seals, else of what is remembered; empty when neither. */
void store_key_id(const struct store *store, char ret_text[KEY_ID_TEXT_LEN + 1]);
/* Says what changed. */
void store_report(struct store *store, struct times now);

#endif
