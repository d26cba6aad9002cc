/*
 * report: what this process says of itself, each thing when it changes: its state and alarms to the
 * log, one line to the service manager, and state, key_id and mend to the file that p11-kmsctl
 * status reads (STATE_HEALTH), from which the next process learns of an outage or of HARD. It is
 * told facts and the time, and decides nothing.
 */
#ifndef SERVER_KMS_REPORT_H
#define SERVER_KMS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/span.h"
#include "keys/key_id.h"
#include "server/health/health.h"
#include "server/kms/mend.h"
#include "server/kms/outputs.h"
#include "server/kms/times.h"

struct report {
    struct kms_outputs outputs;
    enum health_state state;
    bool said; /* a state was said at all */
    int64_t since_s;
    int64_t outage_s;     /* Unix seconds: the running outage began; 0 none */
    bool hard_remembered; /* HARD stood in the file at the start, and no proof came since */
    int64_t put_ms;       /* boot ms of the last STATE_HEALTH */
    bool stale;           /* that says another mend or key_id than holds now */
    char key_id[KEY_ID_TEXT_LEN + 1];
    char line[256];
    char mend[MEND_MAX]; /* last logged */
    unsigned alarms;     /* a bit each, while it stands */
};

/* What there is to say. Borrowed for the call. */
struct report_facts {
    struct mend_facts mend; /* with the state */
    struct mend_ailments ailments;
    int64_t proof_age_ms; /* of the KEK that serves; -1: none serves, or it is unproven */
    const char *key_id;   /* that Status names; empty: none */
};

void report_init(struct report *report, const struct kms_outputs *outputs);
/* What STATE_HEALTH held at the start. One that does not parse is logged and ignored. */
void report_remember(struct report *report, struct span bytes);
/* The KEK that serves is proven: that ends a remembered HARD. */
void report_proven(struct report *report);
/* The file is gone: it is written again, though nothing changed. */
void report_rewrite(struct report *report);

struct health_policy report_policy(const struct config *config);
/* What the state follows from: what rotation and prover see, and what is remembered. */
struct health_facts report_health(const struct report *report, const struct rotation_view *view,
                                  int64_t proof_age_ms, int64_t real_s);

/* Says what changed. */
void report_tick(struct report *report, const struct report_facts *facts, struct times now);

#endif
