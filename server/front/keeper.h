/* keeper: what the front says to whoever keeps it, by base/role.h. */
#ifndef SERVER_FRONT_KEEPER_H
#define SERVER_FRONT_KEEPER_H

#include <stdint.h>

#include "base/role.h"

/* A keeper that does not read is not waited for: then it is not told, which is logged. */
void keeper_tell(enum role_kind kind, int64_t value, const char *text);

#endif
