/*
 * config_check: what no rule can say of one setting alone. Private to base/config*.c.
 */
#ifndef BASE_CONFIG_CHECK_H
#define BASE_CONFIG_CHECK_H

#include "base/config_place.h"

/* One source of the PIN, and a name that no token before it has. */
MUST_USE err_t config_check_token(const struct config_place *place, const struct config *config);

#endif
