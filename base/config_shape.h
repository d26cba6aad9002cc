/*
 * config_shape: what YAML can say and a configuration may not: anchors, aliases, tags, several
 * documents, directives, deep nesting, text with control characters. Private to base/config*.c.
 */
#ifndef BASE_CONFIG_SHAPE_H
#define BASE_CONFIG_SHAPE_H

#include "base/config_place.h"

/* Reads the whole text once, event by event; the place gets the line of what is refused. */
MUST_USE err_t config_shape_check(struct config_place *place, struct span text);

#endif
