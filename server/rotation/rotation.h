/*
 * rotation: which KEK of the ring this process serves, and when it changes. A state machine without
 * I/O and clock: events go in (a listing, a proof), a view comes out. The store acts on the view:
 * lists when asked, proves what is wanted, and swaps its snapshot when `serving` changed. tests/sim
 * runs thousands of clusters through this very code.
 *
 *   serving becomes the selected key (keys/ring) only once that key's first seed is proven
 *   serving never moves back in the order of ring_compare (a KEK made later ranks above), also not
 *     across a restart (remembered)
 *   with nothing remembered the first choice needs two equal complete listings 2 s apart
 *   missing, changed or bad is believed only when two looks 2 s apart agree; until then the last
 *     state holds. A key that could not be read is none of these, and while one is unnamed no key
 *     is missing
 *   a proof of the serving key clears a confirmed verdict, but for ROTATION_BAD: what an attribute
 *     says is not disproved by an encryption, so only a listing that shows it good again does that
 *   the clock counts as at least the not-before of the newest key ever served
 */
#ifndef SERVER_ROTATION_ROTATION_H
#define SERVER_ROTATION_ROTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/ring.h"

#define ROTATION_KEYS_MAX     1024u
#define ROTATION_PROVEN_MAX   16u
#define ROTATION_LOOK_MS      2000  /* two looks are at least this far apart */
#define ROTATION_LIST_MS      20000 /* steady listing */
#define ROTATION_LIST_FAST_MS 2000  /* while unproven or while a look must be confirmed */
#define ROTATION_ALARM_MS     60000 /* selected but not proven for so long: alarm */

enum rotation_verdict { ROTATION_FINE, ROTATION_MISSING, ROTATION_BAD, ROTATION_CHANGED };

struct rotation_view {
    bool has_serving;
    struct ring_key serving;
    bool has_remembered;
    struct ring_key remembered;      /* the newest key ever served here */
    bool has_selected;
    struct ring_key selected;
    /* selected ranks below remembered and remembered is not proven */
    bool older_than_remembered;
    /* confirmed, on the serving key (or the remembered one at start) */
    enum rotation_verdict verdict;
    /* keys whose first seed should be made and proven, best first */
    struct ring_key want_proof[4];
    size_t want_proof_n;
    int64_t list_at_ms;              /* boot ms: when to list next */
    int64_t switch_at_s;             /* Unix seconds: a staged key becomes active then; 0 none */
    bool alarm_unproven;             /* selected for over 60 s and still not proven */
    bool alarm_horizon;
    bool alarm_unknown_above;        /* an unreadable key ranks above what serves */
    bool clock_suspect;              /* all verified keys lie in the future */
    bool ring_empty;                 /* a complete listing holds no key of the ring */
};

struct rotation {
    struct rotation_view view;
    struct ring_key keys[ROTATION_KEYS_MAX]; /* last complete listing, last known verdicts kept */
    size_t keys_n;
    /*
     * The owner's to set before rotation_listed: the listing may lack keys, for one of several
     * tokens was never listed. Then no key is missing for not being in it.
     */
    bool in_part;
    bool listed;
    int64_t listed_ms;
    int64_t looked_ms;                /* as listed_ms, failed listings included */
    uint64_t listing_hash;
    int64_t equal_since_ms;           /* listings have been equal since; -1 none */
    struct ring_key proven[ROTATION_PROVEN_MAX];
    size_t proven_n;
    enum rotation_verdict suspected;  /* seen by one look, not yet confirmed */
    int64_t suspected_ms;
    /* boot ms of the first wrong canary since the last good one; -1 none */
    int64_t canary_wrong_ms;
    int64_t selected_ms;              /* boot ms since when `selected` waits for its proof */
};

/* remembered NULL: nothing. */
void rotation_init(struct rotation *rotation, const struct ring_key *remembered, int64_t boot_ms);

/*
 * A complete listing (its end frame came). keys are copied. Incomplete ones are never given here.
 */
void rotation_listed(struct rotation *rotation, const struct ring_key *keys, size_t n,
                     int64_t now_s, int64_t boot_ms);
/* A listing failed or the token is away: only sets the next time to list. */
void rotation_list_failed(struct rotation *rotation, int64_t boot_ms);
/*
 * What a listing means has changed: the next one comes in the fast pace, and never later than
 * planned.
 */
void rotation_look_soon(struct rotation *rotation);
/* The first seed of this key (or a remembered one) was unwrapped and compared. */
void rotation_proven(struct rotation *rotation, const struct ring_key *key, int64_t now_s,
                     int64_t boot_ms);
/* The serving key opened its canary wrongly: a look that counts towards ROTATION_CHANGED. */
void rotation_canary_wrong(struct rotation *rotation, int64_t boot_ms);
/*
 * Time passed: activations. Returns true when `serving` changed (also after the calls above:
 * compare).
 */
bool rotation_tick(struct rotation *rotation, int64_t now_s, int64_t boot_ms);

#endif
