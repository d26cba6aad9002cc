/*
 * ring_empty: why a ring has no key on the token, as far as this node can tell, and the next
 * command.
 */
#ifndef CTL_RING_EMPTY_H
#define CTL_RING_EMPTY_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/workplace.h"

#define RING_NAMES_MAX 256u

/*
 * The newest KEK that ever served on this node. *ret_known false: nothing is remembered, or in a
 * file that is not one of ours, which the daemon ignores too. E_SYSTEM: could not look.
 */
MUST_USE err_t ring_remembered(const struct workplace *workplace, struct ring_key *ret_key,
                               bool *ret_known);

/*
 * "a, b": the rings other than ours that have keys on the token, "" for none, "?" when they cannot
 * be listed.
 */
void ring_others(const struct workplace *workplace, char ret_names[RING_NAMES_MAX]);

/* Says it on ctl->err. E_SYSTEM: could not look, and nothing was said. */
MUST_USE err_t ring_empty_say(const struct ctl *ctl, const struct workplace *workplace);

#endif
