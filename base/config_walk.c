#include "base/config_walk.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/config_text.h"
#include "base/config_value.h"
#include "base/own.h"

struct walk {
    struct config_place *place;
    yaml_document_t *document;
    struct config *config;
    uint64_t seen; /* a bit a rule */
    size_t token_line;
};

static yaml_node_t *node_of(const struct walk *walk, int index)
{
    return yaml_document_get_node(walk->document, index);
}

static struct span scalar_text(const yaml_node_t *node)
{
    return span_of(node->data.scalar.value, node->data.scalar.length);
}

static void stand_at(struct walk *walk, const yaml_node_t *node)
{
    walk->place->line = node->start_mark.line + 1;
}

static err_t refuse_type(const struct walk *walk)
{
    char accepted[256];
    config_accepted(walk->place->rule, accepted, sizeof(accepted));
    return config_refuse(walk->place, walk->place->rule->path, "wrong type; accepted: %s",
                         accepted);
}

/* A scalar with a value: `key:` and `key: ~` have none. */
static err_t read_scalar(struct walk *walk, const yaml_node_t *node, struct config_value *ret_value)
{
    stand_at(walk, node);
    if (node->type != YAML_SCALAR_NODE) {
        return refuse_type(walk);
    }
    struct span text = scalar_text(node);
    bool quoted = node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    bool null = text.len == 0 || span_equal(text, span_of_text("~")) ||
                span_equal(text, span_of_text("null"));
    if (null && !quoted) {
        return config_refuse_value(walk->place, text, "is none");
    }
    *ret_value = (struct config_value){text, quoted};
    return OK;
}

static err_t walk_items(struct walk *walk, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        return refuse_type(walk);
    }
    const yaml_node_item_t *end = node->data.sequence.items.top;
    if (walk->place->rule->kind == CONFIG_UIDS && node->data.sequence.items.start == end) {
        return config_refuse_value(walk->place, span_of_text("[]"), "is empty");
    }
    for (const yaml_node_item_t *item = node->data.sequence.items.start; item < end; item++) {
        struct config_value value = {0};
        TRY(read_scalar(walk, node_of(walk, *item), &value));
        TRY(config_value_add(walk->place, value, walk->config));
    }
    return OK;
}

static err_t walk_env(struct walk *walk, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE) {
        return refuse_type(walk);
    }
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < end; pair++) {
        struct config_value name = {0};
        struct config_value value = {0};
        TRY(read_scalar(walk, node_of(walk, pair->key), &name));
        TRY(read_scalar(walk, node_of(walk, pair->value), &value));
        TRY(config_env_add(walk->place, name, value, walk->config));
    }
    return OK;
}

static err_t walk_section(struct walk *walk, const char *section, const yaml_node_t *node);

static err_t walk_one(struct walk *walk, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        return refuse_type(walk);
    }
    const yaml_node_item_t *first = node->data.sequence.items.start;
    size_t n = (size_t)(node->data.sequence.items.top - first);
    if (n != 1) {
        return config_refuse(walk->place, walk->place->rule->path,
                             "%zu entries; accepted: exactly one in this release", n);
    }
    walk->config->tokens_n = 1;
    walk->token_line = node_of(walk, *first)->start_mark.line + 1;
    return walk_section(walk, walk->place->rule->path, node_of(walk, *first));
}

static err_t walk_value(struct walk *walk, const yaml_node_t *node)
{
    const struct config_rule *rule = walk->place->rule;
    stand_at(walk, node);
    if (rule->kind == CONFIG_SECTION) {
        return walk_section(walk, rule->path, node);
    }
    if (rule->kind == CONFIG_ONE_OF) {
        return walk_one(walk, node);
    }
    if (rule->kind == CONFIG_UIDS || rule->kind == CONFIG_KEK_IDS) {
        return walk_items(walk, node);
    }
    if (rule->kind == CONFIG_ENV) {
        return walk_env(walk, node);
    }
    struct config_value value = {0};
    TRY(read_scalar(walk, node, &value));
    return config_value_set(walk->place, value, walk->config);
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
static err_t refuse_key(struct walk *walk, const char *section, struct span key)
{
    char shown[48];
    char path[96];
    char keys[256];
    config_show(key, shown, sizeof(shown));
    (void)snprintf(path, sizeof(path), "%s%s%s", section, section[0] == '\0' ? "" : ".", shown);
    list_keys(section, keys, sizeof(keys));
    const char *what =
        config_key_is_later(section, key) ? "is not available in this release" : "unknown key";
    return config_refuse(walk->place, path, "%s; accepted: %s", what, keys);
}

static err_t walk_pair(struct walk *walk, const char *section, const yaml_node_pair_t *pair)
{
    const yaml_node_t *key = node_of(walk, pair->key);
    stand_at(walk, key);
    if (key->type != YAML_SCALAR_NODE) {
        return config_refuse(walk->place, section[0] == '\0' ? NULL : section,
                             "a key is not a word; accepted: KEY: value");
    }
    const struct config_rule *rule = config_rule_find(section, scalar_text(key));
    if (rule == NULL) {
        return refuse_key(walk, section, scalar_text(key));
    }
    uint64_t bit = (uint64_t)1 << (rule - config_rules);
    if ((walk->seen & bit) != 0) {
        return config_refuse(walk->place, rule->path, "given twice; accepted: once");
    }
    walk->seen |= bit;
    walk->place->rule = rule;
    return walk_value(walk, node_of(walk, pair->value));
}

static err_t walk_section(struct walk *walk, const char *section, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE) {
        return config_refuse(walk->place, section[0] == '\0' ? NULL : section,
                             "wrong type; accepted: a mapping of settings");
    }
    const yaml_node_pair_t *end = node->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < end; pair++) {
        TRY(walk_pair(walk, section, pair));
    }
    return OK;
}

static err_t fill_presets(struct walk *walk)
{
    for (size_t i = 0; i < config_rules_n; i++) {
        bool given = (walk->seen >> i & 1) != 0;
        walk->place->rule = &config_rules[i];
        walk->place->line = config_rule_within(&config_rules[i], "tokens") ? walk->token_line : 1;
        if (!given) {
            TRY(config_value_preset(walk->place, walk->config));
        }
    }
    return OK;
}

static err_t check_pin(struct walk *walk)
{
    const struct config_token *token = &walk->config->tokens[0];
    bool file = token->pin_file[0] != '\0';
    bool credential = token->pin_credential[0] != '\0';
    walk->place->line = walk->token_line;
    if (file == credential) {
        return config_refuse(walk->place, "tokens",
                             "%s; accepted: exactly one of pin_file and "
                             "pin_credential",
                             file ? "both PIN sources are given" : "no PIN source is given");
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
    struct walk walk = {.place = place, .document = &document, .config = config};
    stand_at(&walk, root);
    TRY(walk_section(&walk, "", root));
    TRY(fill_presets(&walk));
    return check_pin(&walk);
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
