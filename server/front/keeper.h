/*
 * keeper: the talk with the process that started this one and keeps its state files (base/role.h):
 * what it says takes effect here, and what the front has to say to it goes out here.
 */
#ifndef SERVER_FRONT_KEEPER_H
#define SERVER_FRONT_KEEPER_H

#include <stdint.h>

#include "base/role.h"
#include "server/front/front.h"

/* A keeper that does not read is not waited for: then it is not told, which is logged. */
void keeper_tell(enum role_kind kind, int64_t value, const char *text);

/*
 * Waits until all that was remembered is known to the service. E_UNAVAILABLE: the keeper is gone,
 * or told us to end.
 */
MUST_USE err_t keeper_fetch(struct front *front);
/* Hears it from now on, whenever it says something. */
MUST_USE err_t keeper_watch(struct front *front);
/* Has this kept; what becomes of it, the service hears. False: not now. */
bool keeper_put(struct front *front, enum state_file file, struct span bytes);

#endif
