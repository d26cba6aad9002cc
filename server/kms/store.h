/*
 * store: the seeds and KEKs of this process, and everything that happens to them over time. Wires
 * the token client, the seed cache, the prover, the rotation and the health; the service asks it to
 * seal and to open. Split by job: store.c (life, token replies, time), store_open.c (seal and
 * open), store_unwrap.c (seeds that the token opens), report.c (state, mend, what is remembered).
 * One thread, never blocks.
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
#include "token/client.h"
#include "server/health/health.h"
#include "server/kms/calls.h"
#include "server/kms/derived.h"
#include "server/kms/directory.h"
#include "server/kms/outputs.h"
#include "server/kms/limits.h"
#include "server/kms/lister.h"
#include "server/kms/mend.h"
#include "server/kms/negative.h"
#include "server/kms/pending.h"
#include "server/kms/prover.h"
#include "server/kms/refused.h"
#include "server/kms/seeds.h"
#include "server/kms/times.h"
#include "server/kms/unread.h"
#include "server/kms/unwraps.h"
#include "server/rotation/rotation.h"

#define STORE_FIRST_MS 1000 /* so long after its start Status waits for the first proof */

struct store_events {
    void *ctx;
    /*
     * The token opened this seed, or err says why not; `again`: its time was up, late comers may
     * ask anew.
     */
    void (*on_seed)(void *ctx, const uint8_t key[32], err_t err, bool again);
    /* A listing of all keys is complete. */
    void (*on_listing)(void *ctx);
    /* Something seals now, or another key does. */
    void (*on_ready)(void *ctx);
};

/* What Status names and Encrypt uses. */
struct snapshot {
    const struct seed *write; /* pinned by the prover; NULL: nothing seals yet */
    struct ring_key key;
    char key_id[KEY_ID_TEXT_LEN + 1];
};

/* The part of the store that speaks: what was last said and when. */
struct report {
    enum health_state state;
    bool said;              /* a state was said at all */
    int64_t since_s;
    int64_t outage_s;       /* Unix seconds; 0 none */
    bool hard_remembered;
    int64_t put_ms;         /* boot ms of the last STATE_HEALTH */
    bool stale;             /* that says another mend or key_id than holds now */
    char key_id[KEY_ID_TEXT_LEN + 1];
    char line[256];
    char mend[MEND_MAX];    /* last logged */
    /* a bit for each file that could not be stored, and one for the folder */
    unsigned not_kept;
    char storing[256];      /* why not; empty: all is kept */
    unsigned alarms;        /* a bit each, while it stands */
    unsigned long not_stored[STATE_FILES]; /* why the keeper could not, as last said; 0: it could */
};

struct store {
    struct config config;
    struct store_events events;
    struct kms_outputs outputs;
    uint8_t realm[ENVELOPE_REALM];
    int64_t started_ms; /* boot ms */
    struct seal *seal;
    struct client *client;
    struct seeds *seeds;
    struct derived *derived;
    struct negative *negative;
    struct directory directory;
    struct pending pending;
    struct unwraps unwraps;
    struct lister lister;
    struct prover prover;
    struct rotation rotation;
    struct refused refused;
    struct limits limits;
    struct unread unread;
    struct snapshot snapshot;
    struct report report;
    bool has_current;           /* read from STATE_CURRENT */
    struct ring_key current;    /* what that file says now */
    bool seeds_dirty;
    int64_t seeds_put_ms;       /* boot ms of the last STATE_SEEDS */
    int64_t keep_from_ms;       /* boot ms: storing failed, it is not tried before */
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

/* store_open.c: OK with call->wait set: it must wait, nothing was written. */
MUST_USE err_t store_seal(struct store *store, uint8_t api, struct call *call, struct secret *out);
MUST_USE err_t store_open(struct store *store, const struct envelope *envelope, struct call *call,
                          struct secret *out);

/*
 * store_unwrap.c: a seed that was asked for; and some of those that were open before the restart.
 */
void store_take_unwrap(struct store *store, const struct unwrap *unwrap,
                       const struct client_reply *reply, struct times now);
void store_reopen_some(struct store *store, struct times now);

/* report.c */
struct health_policy report_policy(const struct config *config);
struct health_facts report_facts(const struct store *store, struct times now);
enum health_state report_state(const struct store *store, struct times now);
void report_mend(const struct store *store, struct times now, char *ret_text, size_t size);
/* key_id that Status names: of what seals, else of what is remembered; empty when neither. */
void report_key_id(const struct store *store, char ret_text[KEY_ID_TEXT_LEN + 1]);
void report_remember(struct store *store, struct span bytes);
/* Before a listing is taken: logs the keys of the last one that are not in it. */
void report_vanished(const struct store *store, const struct ring_key *keys, size_t n);
/* Logs and keeps what changed. */
void report_tick(struct store *store, struct times now);
/* The keeper has stored this file, or could not. */
void report_stored(struct store *store, enum state_file file, err_t err);
/* Why something cannot be stored: see kms.h. */
void report_storing(struct store *store, unsigned what, const char *why);
/* Writes STATE_CURRENT and STATE_SEEDS when they changed. */
void report_keep(struct store *store, struct times now);

#endif
