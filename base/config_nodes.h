/*
 * config_nodes: the nodes of a YAML document on the way into a configuration. Private to
 * base/config*.c.
 */
#ifndef BASE_CONFIG_NODES_H
#define BASE_CONFIG_NODES_H

#include <yaml.h>

#include "base/config_place.h"

struct config_nodes {
    struct config_place *place;
    yaml_document_t *document;
    struct config *config; /* that is filled */
};

/* By its number in the document. */
const yaml_node_t *config_node(const struct config_nodes *nodes, int number);

/* Of a scalar. Lives as long as the document. */
struct span config_node_text(const yaml_node_t *node);

/* The first pair with this key in a mapping whose keys up to there are scalars; NULL: none. */
const yaml_node_pair_t *config_pair(const struct config_nodes *nodes, const yaml_node_t *mapping,
                                    struct span key);

/* What is said next is said of this node's line. */
void config_stand_at(const struct config_nodes *nodes, const yaml_node_t *node);

/*
 * Visits each element of the list that is the rule of this place; the place is within the element
 * then. node is a sequence.
 */
typedef err_t config_visit(struct config_nodes *nodes, const char *section,
                           const yaml_node_t *element);
MUST_USE err_t config_each_element(struct config_nodes *nodes, const yaml_node_t *node,
                                   config_visit *visit);

#endif
