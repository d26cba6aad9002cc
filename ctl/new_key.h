/* new_key: what init and rotate say about the KEK that they made. */
#ifndef CTL_NEW_KEY_H
#define CTL_NEW_KEY_H

#include "ctl/output.h"
#include "ctl/workplace.h"

/*
 * Makes it, with a CKA_ID of its own, and says on ctl->err at once which KEK was made: whatever
 * happens next, it is on the token. When the token's answer is lost, the key is looked for by its
 * id, and what is true is said: made, and this is OK; or E_UNAVAILABLE, not made or not known.
 */
MUST_USE err_t new_key_make(const struct ctl *ctl, struct workplace *workplace,
                            struct ipc_generate *generate, struct ipc_key *ret_key);

/*
 * Reads the new key's label back, judges and proves it; adds key_id, times, verdict and proof to
 * `report`. *ret_good: it may seal; otherwise what to do next is added too.
 */
MUST_USE err_t new_key_report(const struct workplace *workplace, const struct ipc_key *key,
                              json_t *report, bool *ret_good);

#endif
