#include "base/config_fill.h"

#include "base/config_value.h"

static err_t fill_section(struct config_nodes *nodes, const char *section,
                          const yaml_node_t *mapping);

static err_t fill_element(struct config_nodes *nodes, const char *section,
                          const yaml_node_t *mapping)
{
    const struct config_rule *list = nodes->place->element.list;
    TRY(fill_section(nodes, section, mapping));
    config_stand_at(nodes, mapping);
    return list->check == NULL ? OK : list->check(nodes->place, nodes->config);
}

/* `value` is NULL where the file does not give it. */
static err_t fill_setting(struct config_nodes *nodes, const yaml_node_t *value)
{
    const struct config_rule *rule = nodes->place->rule;
    if (value == NULL) {
        TRY(config_value_preset(nodes->place, nodes->config));
    }
    if (rule->kind == CONFIG_SECTION) {
        return fill_section(nodes, rule->path, value);
    }
    if (rule->kind == CONFIG_LIST && value != NULL) {
        return config_each_element(nodes, value, fill_element);
    }
    return OK;
}

static const yaml_node_t *value_of(const struct config_nodes *nodes, const yaml_node_t *mapping,
                                   const struct config_rule *rule)
{
    if (mapping == NULL) {
        return NULL;
    }
    const yaml_node_pair_t *pair = config_pair(nodes, mapping, span_of_text(config_rule_key(rule)));
    return pair == NULL ? NULL : config_node(nodes, pair->value);
}

/* In the order of the schema. `mapping` is NULL where the file does not have the section. */
static err_t fill_section(struct config_nodes *nodes, const char *section,
                          const yaml_node_t *mapping)
{
    bool below = section[0] != '\0' && mapping != NULL;
    for (size_t i = 0; i < config_rules_n; i++) {
        if (config_rule_within(&config_rules[i], section)) {
            nodes->place->rule = &config_rules[i];
            nodes->place->line = below ? mapping->start_mark.line + 1 : 1;
            TRY(fill_setting(nodes, value_of(nodes, mapping, &config_rules[i])));
        }
    }
    return OK;
}

err_t config_fill(struct config_nodes *nodes, const yaml_node_t *root)
{
    return fill_section(nodes, "", root);
}
