/*
 * rotate: whether a new KEK of a ring may be made, and with which times. Pure: what is listed, what
 * this node remembers, what is wished for. For whoever has KEKs made: p11-kmsctl, or a schedule.
 */
#ifndef KEYS_ROTATE_H
#define KEYS_ROTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "keys/ring.h"

struct rotate_facts {
    const struct ring_key *keys; /* of the ring, listed */
    size_t n;
    size_t unnamed;       /* keys of which not even the label could be read: they may be of it */
    size_t broken_labels; /* keys of it without dates that can be read */
    const struct ring_key *remembered; /* the newest KEK ever served here; NULL: none */
    int64_t now_s;
};

struct rotate_wish {
    bool now; /* at once: the emergency */
    bool clock_is_right;
    int64_t at_s;     /* 0: not given */
    uint32_t delay_s; /* activation_delay */
};

struct rotate_plan {
    uint32_t not_before; /* 0: when it is made, or floor_s when that is later */
    uint32_t floor_s;
    uint32_t created_s; /* ranks above every key of the ring, and above the memory */
    uint32_t min_notice_s;
    int64_t earliest_s; /* the earliest not-before that `at_s` may name */
};

/* Why none may be made: the detail of the error. */
enum rotate_refusal {
    ROTATE_EMPTY = 1,  /* E_NOT_FOUND: there is no key to rotate from */
    ROTATE_LOST,       /* E_NOT_FOUND: the KEK that served is gone or unusable; `now` replaces it */
    ROTATE_UNREADABLE, /* E_UNAVAILABLE: that cannot be told; `now` makes one all the same */
    ROTATE_ALL_AHEAD,  /* E_STATE: no key has reached its not-before; `clock_is_right` helps */
    ROTATE_CLOCK_DOUBT /* E_STATE: ring_clock_doubtful; likewise */
};

/*
 * As above; E_INVALID: `at_s` is too early or beyond the horizon, then earliest_s alone is set.
 */
MUST_USE err_t rotate_plan(const struct rotate_facts *facts, const struct rotate_wish *wish,
                           struct rotate_plan *ret_plan);

#endif
