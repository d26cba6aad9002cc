#include "base/config_walk.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/config_fill.h"
#include "base/config_number.h"
#include "base/config_text.h"
#include "base/config_value.h"
#include "base/own.h"

static err_t refuse_type(const struct config_nodes *nodes)
{
    char accepted[256];
    config_accepted(nodes->place->rule, accepted, sizeof(accepted));
    return config_refuse(nodes->place, nodes->place->rule->path, "wrong type; accepted: %s",
                         accepted);
}

/* A scalar with a value: `key:` and `key: ~` have none. */
static err_t read_scalar(struct config_nodes *nodes, const yaml_node_t *node,
                         struct config_value *ret_value)
{
    config_stand_at(nodes, node);
    if (node->type != YAML_SCALAR_NODE) {
        return refuse_type(nodes);
    }
    struct span text = config_node_text(node);
    bool quoted = node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    bool null = text.len == 0 || span_equal(text, span_of_text("~")) ||
                span_equal(text, span_of_text("null"));
    if (null && !quoted) {
        return config_refuse_value(nodes->place, text, "is none");
    }
    *ret_value = (struct config_value){text, quoted};
    return OK;
}

static err_t walk_items(struct config_nodes *nodes, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        return refuse_type(nodes);
    }
    const yaml_node_item_t *end = node->data.sequence.items.top;
    if (nodes->place->rule->kind == CONFIG_UIDS && node->data.sequence.items.start == end) {
        return config_refuse_value(nodes->place, span_of_text("[]"), "is empty");
    }
    for (const yaml_node_item_t *item = node->data.sequence.items.start; item < end; item++) {
        struct config_value value = {0};
        TRY(read_scalar(nodes, config_node(nodes, *item), &value));
        TRY(config_value_add(nodes->place, value, nodes->config));
    }
    return OK;
}

static err_t walk_env(struct config_nodes *nodes, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE) {
        return refuse_type(nodes);
    }
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < end; pair++) {
        struct config_value name = {0};
        struct config_value value = {0};
        TRY(read_scalar(nodes, config_node(nodes, pair->key), &name));
        TRY(read_scalar(nodes, config_node(nodes, pair->value), &value));
        TRY(config_env_add(nodes->place, name, value, nodes->config));
    }
    return OK;
}

static err_t walk_section(struct config_nodes *nodes, const char *section, const yaml_node_t *node);

static err_t walk_list(struct config_nodes *nodes, const yaml_node_t *node)
{
    const struct config_rule *list = nodes->place->rule;
    if (node->type != YAML_SEQUENCE_NODE) {
        return refuse_type(nodes);
    }
    size_t n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (!config_range_holds(list->range, false, n)) {
        bool one = strcmp(list->range, "1") == 0;
        return config_refuse(nodes->place, list->path, "%zu entries; accepted: %s", n,
                             one ? "exactly one in this release" : list->range);
    }
    for (size_t i = 0; i < n; i++) {
        if (config_list_grow(nodes->place->element, list, nodes->config) == NULL) {
            return FAIL(E_BUG, "the schema accepts a longer list than there is room for");
        }
    }
    return config_each_element(nodes, node, walk_section);
}

static err_t walk_value(struct config_nodes *nodes, const yaml_node_t *node)
{
    const struct config_rule *rule = nodes->place->rule;
    config_stand_at(nodes, node);
    if (rule->kind == CONFIG_SECTION) {
        return walk_section(nodes, rule->path, node);
    }
    if (rule->kind == CONFIG_LIST) {
        return walk_list(nodes, node);
    }
    if (rule->kind == CONFIG_UIDS || rule->kind == CONFIG_KEK_IDS) {
        return walk_items(nodes, node);
    }
    if (rule->kind == CONFIG_ENV) {
        return walk_env(nodes, node);
    }
    struct config_value value = {0};
    TRY(read_scalar(nodes, node, &value));
    return config_value_set(nodes->place, value, nodes->config);
}

/* The keys of a section as "a, b, c". */
static void list_keys(const char *section, char *text, size_t size)
{
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < config_rules_n && len < size; i++) {
        if (config_rule_within(&config_rules[i], section)) {
            int n = snprintf(text + len, size - len, "%s%s", len == 0 ? "" : ", ",
                             config_rule_key(&config_rules[i]));
            len += (size_t)n;
        }
    }
}

/* The value of an unknown key is never shown: it may be a PIN under a wrong name. */
static err_t refuse_key(struct config_nodes *nodes, const char *section, struct span key)
{
    char shown[48];
    char path[96];
    char keys[256];
    config_show(key, shown, sizeof(shown));
    (void)snprintf(path, sizeof(path), "%s%s%s", section, section[0] == '\0' ? "" : ".", shown);
    list_keys(section, keys, sizeof(keys));
    const char *what =
        config_key_is_later(section, key) ? "is not available in this release" : "unknown key";
    return config_refuse(nodes->place, path, "%s; accepted: %s", what, keys);
}

static err_t walk_pair(struct config_nodes *nodes, const char *section, const yaml_node_t *mapping,
                       const yaml_node_pair_t *pair)
{
    const yaml_node_t *key = config_node(nodes, pair->key);
    config_stand_at(nodes, key);
    if (key->type != YAML_SCALAR_NODE) {
        return config_refuse(nodes->place, section[0] == '\0' ? NULL : section,
                             "a key is not a word; accepted: KEY: value");
    }
    const struct config_rule *rule = config_rule_find(section, config_node_text(key));
    if (rule == NULL) {
        return refuse_key(nodes, section, config_node_text(key));
    }
    if (config_pair(nodes, mapping, config_node_text(key)) != pair) {
        return config_refuse(nodes->place, rule->path, "given twice; accepted: once");
    }
    nodes->place->rule = rule;
    return walk_value(nodes, config_node(nodes, pair->value));
}

static err_t walk_section(struct config_nodes *nodes, const char *section, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE) {
        return config_refuse(nodes->place, section[0] == '\0' ? NULL : section,
                             "wrong type; accepted: a mapping of settings");
    }
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < end; pair++) {
        TRY(walk_pair(nodes, section, node, pair));
    }
    return OK;
}

static err_t walk_document(struct config_place *place, yaml_parser_t *parser, struct span text,
                           struct config *config)
{
    CLEANUP(yaml_document_delete) yaml_document_t document;
    if (yaml_parser_load(parser, &document) != 1) {
        return config_text_refuse(place, parser, text);
    }
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    if (root == NULL) {
        place->line = 1;
        return config_refuse(place, NULL,
                             "the file is empty; accepted: settings from \"version: 1\" on");
    }
    struct config_nodes nodes = {.place = place, .document = &document, .config = config};
    config_stand_at(&nodes, root);
    TRY(walk_section(&nodes, "", root));
    return config_fill(&nodes, root);
}

err_t config_walk(struct config_place *place, struct span text, struct config *config)
{
    CLEANUP(yaml_parser_delete) yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) != 1) {
        return FAIL_DETAIL(E_SYSTEM, ENOMEM, "no memory to read the configuration");
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.ptr, text.len);
    return walk_document(place, &parser, text, config);
}
