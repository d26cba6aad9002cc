/* new_key: what init and rotate say about the KEK that they made. */
#ifndef CTL_NEW_KEY_H
#define CTL_NEW_KEY_H

#include "ctl/output.h"
#include "ctl/workplace.h"

/* Says on ctl->err at once which KEK was made: whatever happens next, it is on the token. */
void new_key_tell(const struct ctl *ctl, const struct ipc_key *key);

/*
 * Reads the new key's label back, judges and proves it; adds key_id, times, verdict and proof to
 * `report`. *ret_good: it may seal.
 */
MUST_USE err_t new_key_report(const struct workplace *workplace, const struct ipc_key *key,
                              json_t *report, bool *ret_good);

#endif
