/*
 * ring: which KEK seals. Pure functions of a listing and a time; see docs/rotate.md.
 */
#ifndef KEYS_RING_H
#define KEYS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "keys/envelope.h"

#define RING_HORIZON_S (32u * 86400u) /* a not-before further ahead is ignored with an alarm */
#define RING_SKEW_S    60u            /* clocks of makers of KEKs agree within so much */

enum ring_verdict {
    RING_GOOD,    /* verified: may seal */
    RING_BAD,     /* an attribute fails, or the wrap does not bind its AAD: only decrypts */
    RING_UNKNOWN, /* could not be read to the end */
};

struct ring_key {
    uint8_t kek_id[KEK_ID_LEN]; /* all zero while CKA_ID or fingerprint are unknown */
    uint32_t not_before;
    uint32_t created;
    enum ring_verdict verdict;
};

/*
 * > 0 when a ranks above b: later created, then larger not-before, then smaller kek_id. The
 * decision that was taken last holds, as soon as its not-before has come: so a KEK made for an
 * emergency outranks what was staged before it.
 */
int ring_compare(const struct ring_key *a, const struct ring_key *b);
bool ring_same(const struct ring_key *a, const struct ring_key *b);
/* Its kek_id is known. */
bool ring_has_id(const struct ring_key *key);
/*
 * A key of which not even the label could be read: RING_UNKNOWN without dates. It may be any key.
 */
bool ring_unnamed(const struct ring_key *key);
/* Which of these is the same key; NULL: none. */
const struct ring_key *ring_find(const struct ring_key *keys, size_t n,
                                 const struct ring_key *wanted);

struct ring_choice {
    /* best verified key with created <= not-before <= now; or NULL */
    const struct ring_key *selected;
    const struct ring_key *next;     /* what takes over from it first: verified, ranks above it, the
                                        soonest     not-before in (now, now + horizon]; or NULL */
    bool beyond_horizon;             /* alarm: a key further ahead is ignored */
    /* verified keys exist, all of them ahead: the clock is suspect */
    bool future_only;
    bool created_after_not_before;   /* alarm: such a key is ignored */
    bool unknown_above;              /* an active RING_UNKNOWN key ranks above it, or may */
    bool bad_above;                  /* the same for RING_BAD */
};

void ring_choose(const struct ring_key *keys, size_t n, int64_t now_s,
                 struct ring_choice *ret_choice);

/* True when no key, whatever its verdict, has reached its not-before: the clock is suspect. */
bool ring_all_ahead(const struct ring_key *keys, size_t n, int64_t now_s);

/* True for a key that never seals: a verified one that ranks above it becomes active no later. */
bool ring_superseded(const struct ring_key *keys, size_t n, const struct ring_key *key);

/*
 * The earliest `created` by which a new KEK ranks above every key of the listing, also those whose
 * maker's clock was ahead of ours; not those which were made more than RING_SKEW_S ahead, for a KEK
 * that waits so long would not help. 0: any.
 */
uint32_t ring_next_created(const struct ring_key *keys, size_t n, int64_t now_s);

/*
 * not-before of a new KEK: max(now + delay, selected's not-before + 1), or `at` when given (0: not
 * given). E_INVALID when `at` is earlier than that or beyond the horizon. selected may be NULL (the
 * first KEK).
 */
MUST_USE err_t ring_next_not_before(const struct ring_key *selected, int64_t now_s,
                                    uint32_t delay_s, int64_t at_s, uint32_t *ret_not_before);

/*
 * True when now is more than 400 days past the newest `created`: rotate then wants
 * --clock-is-right.
 */
bool ring_clock_doubtful(const struct ring_key *keys, size_t n, int64_t now_s);

#endif
