#include "base/config_nodes.h"

const yaml_node_t *config_node(const struct config_nodes *nodes, int number)
{
    return yaml_document_get_node(nodes->document, number);
}

struct span config_node_text(const yaml_node_t *node)
{
    return span_of(node->data.scalar.value, node->data.scalar.length);
}

const yaml_node_pair_t *config_pair(const struct config_nodes *nodes, const yaml_node_t *mapping,
                                    struct span key)
{
    const yaml_node_pair_t *end = mapping->data.mapping.pairs.top;
    const yaml_node_pair_t *at = mapping->data.mapping.pairs.start;
    while (at < end && !span_equal(config_node_text(config_node(nodes, at->key)), key)) {
        at++;
    }
    return at < end ? at : NULL;
}

void config_stand_at(const struct config_nodes *nodes, const yaml_node_t *node)
{
    nodes->place->line = node->start_mark.line + 1;
}

err_t config_each_element(struct config_nodes *nodes, const yaml_node_t *node, config_visit *visit)
{
    struct config_element element = {.list = nodes->place->rule};
    const yaml_node_item_t *items = node->data.sequence.items.start;
    element.n = (uint32_t)(node->data.sequence.items.top - items);
    for (; element.index < element.n; element.index++) {
        const yaml_node_t *entry = config_node(nodes, items[element.index]);
        nodes->place->rule = element.list;
        nodes->place->element = element;
        config_stand_at(nodes, entry);
        TRY(visit(nodes, element.list->path, entry));
    }
    nodes->place->element = (struct config_element){0};
    return OK;
}
