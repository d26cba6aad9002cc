/*
 * rotate_plan: which not-before a new KEK gets, and whether it may be made at all. Pure: a view of
 * the ring, what this node remembers, and what the operator asked for.
 */
#ifndef CTL_ROTATE_PLAN_H
#define CTL_ROTATE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/state.h"
#include "ctl/ring_view.h"

struct rotate_wish {
    bool now; /* at once: the emergency */
    bool anyway; /* although another is staged; for whoever asks rotate_plan first */
    bool clock_is_right;
    int64_t at_s;     /* 0: not given */
    uint32_t delay_s; /* activation_delay */
};

struct rotate_plan {
    uint32_t not_before; /* as ipc_generate: 0 = now */
    uint32_t floor_s;
    /* as ipc_generate: ranks above every key of the view, and above the memory */
    uint32_t created_s;
    uint32_t min_notice_s;
    int64_t earliest_s; /* the earliest not-before that `at` may name */
};

/*
 * remembered: the newest KEK ever served here, or NULL. E_NOT_FOUND: the ring has no key to rotate
 * from, or has lost it and wants `now`. E_UNAVAILABLE: that cannot be told, a key is unreadable.
 * E_STATE: the clock is doubtful. E_INVALID: `at` is too early or beyond the horizon; then
 * earliest_s alone is set.
 */
MUST_USE err_t rotate_plan(const struct ring_view *view, const struct state_current *remembered,
                           const struct rotate_wish *wish, struct rotate_plan *ret_plan);

#endif
