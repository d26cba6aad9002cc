/*
 * kept: what this process has the keeper store so that the next one goes on where it ended: the
 * newest KEK that ever served here (STATE_CURRENT) and the wrapped seeds that are open
 * (STATE_SEEDS). Each is offered when it changed, and again when it could not be stored; also why
 * something cannot. What was reported (STATE_HEALTH) is report's.
 */
#ifndef SERVER_KMS_KEPT_H
#define SERVER_KMS_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/state.h"
#include "keys/envelope.h"
#include "keys/ring.h"
#include "server/kms/outputs.h"
#include "server/kms/pending.h"
#include "server/kms/seeds.h"

struct kept {
    struct kms_outputs outputs;
    uint8_t realm[ENVELOPE_REALM];
    bool has_current;
    struct ring_key current; /* what STATE_CURRENT says now */
    bool seeds_dirty;        /* STATE_SEEDS does not say what is open */
    int64_t seeds_put_ms;    /* boot ms: it was offered last; 0 never */
    int64_t from_ms;         /* boot ms: storing failed, it is not tried before */
    /*
     * Why the keeper could not store the file, or at [STATE_FILES] why the folder takes nothing:
     * a number that another reason would not have. 0: it could.
     */
    unsigned long not_stored[STATE_FILES + 1];
    char trouble[256]; /* the last reason of the keeper, and what to do; empty: all is stored */
};

void kept_init(struct kept *kept, const struct kms_outputs *outputs,
               const uint8_t realm[ENVELOPE_REALM]);
/* What STATE_CURRENT held at the start. One that does not parse is logged and ignored. */
void kept_remember(struct kept *kept, struct span bytes);
/* The newest KEK that served here; NULL: none is known. Valid until the next tick. */
const struct ring_key *kept_current(const struct kept *kept);
/* Another seed is open than the file says. */
void kept_seeds_changed(struct kept *kept);

/*
 * Offers what changed. `newest`: the newest KEK that ever served here, NULL none; the seeds that
 * are open, and those that are still to be opened.
 */
void kept_tick(struct kept *kept, const struct ring_key *newest, const struct seeds *seeds,
               const struct pending *pending, int64_t boot_ms);

/* What became of an offer: see service_stored (kms.h). Said when it begins, changes and ends. */
void kept_stored(struct kept *kept, enum state_file file, err_t err, int64_t boot_ms);
/*
 * Why a file or the folder (STATE_FILES) takes nothing: see service_storing (kms.h). True: the
 * folder is a new one, and all that is remembered is to be offered again.
 */
MUST_USE bool kept_storing(struct kept *kept, unsigned what, const char *why);

#endif
