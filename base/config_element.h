/*
 * config_element: where a setting is kept. The file has `tokens: [{...}, {...}]`, struct config an
 * array and a count; a rule below that list knows its place within one element, so a list of any
 * length costs no further rule. Private to base/config*.c.
 */
#ifndef BASE_CONFIG_ELEMENT_H
#define BASE_CONFIG_ELEMENT_H

#include "base/config_schema.h"

/* One entry of a list of settings; all zero: none, the file itself. Passed by value. */
struct config_element {
    const struct config_rule *list;
    uint32_t index;
    uint32_t n; /* of how many */
};

/* Offset in struct config of the field of this rule; of a list: of its first item. */
size_t config_field_offset(struct config_element element, const struct config_rule *rule);

/* How many items a list has. */
uint32_t config_list_n(struct config_element element, const struct config_rule *list,
                       const struct config *config);

/* One item more, which is zero; NULL: there is no room for it. */
void *config_list_grow(struct config_element element, const struct config_rule *list,
                       struct config *config);

/* `path` as a user finds it in the file: "tokens.name", of several "tokens[1].name". */
void config_element_path(struct config_element element, const char *path, char *text, size_t size);

#endif
