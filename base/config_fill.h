/*
 * config_fill: what the file does not say, once all of it has been read: the default of each
 * setting that is not given, and what the settings of an element must be together. Private to
 * base/config*.c.
 */
#ifndef BASE_CONFIG_FILL_H
#define BASE_CONFIG_FILL_H

#include "base/config_nodes.h"

/* root is the mapping that was read. */
MUST_USE err_t config_fill(struct config_nodes *nodes, const yaml_node_t *root);

#endif
