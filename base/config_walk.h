/*
 * config_walk: from the nodes of a YAML document to the rules of the schema. Private to
 * base/config*.c.
 */
#ifndef BASE_CONFIG_WALK_H
#define BASE_CONFIG_WALK_H

#include "base/config_place.h"

/*
 * Fills the settings of *config, which is zeroed, with values or defaults. The text has passed the
 * shape check.
 */
MUST_USE err_t config_walk(struct config_place *place, struct span text, struct config *config);

#endif
