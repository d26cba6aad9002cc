#include <string.h>

#include "base/config_element.h"

static bool differs(struct config_element element, const struct config_rule *rule,
                    const struct config *from, const struct config *to)
{
    size_t offset = config_field_offset(element, rule);
    size_t size = rule->size;
    if (rule->room > 0) {
        uint32_t n = config_list_n(element, rule, from);
        if (n != config_list_n(element, rule, to)) {
            return true;
        }
        size *= rule->kind == CONFIG_LIST ? 0 : n; /* its elements have rules of their own */
    }
    return !span_equal(span_of((const uint8_t *)from + offset, size),
                       span_of((const uint8_t *)to + offset, size));
}

/* The first of those that both have: a setting outside of lists is there once. */
static struct config_element first_element(const struct config_rule *rule,
                                           const struct config *from, const struct config *to)
{
    const struct config_element file = {0};
    struct config_element element = {.list = config_rule_list(rule), .n = 1};
    if (element.list != NULL) {
        uint32_t from_n = config_list_n(file, element.list, from);
        uint32_t to_n = config_list_n(file, element.list, to);
        element.n = from_n < to_n ? from_n : to_n;
    }
    return element;
}

bool config_fixed_difference(const struct config *from, const struct config *to,
                             char ret_path[CONFIG_SETTING_LEN])
{
    for (size_t i = 0; i < config_rules_n; i++) {
        const struct config_rule *rule = &config_rules[i];
        if (rule->live || rule->offset == CONFIG_NO_FIELD) {
            continue;
        }
        struct config_element element = first_element(rule, from, to);
        for (; element.index < element.n; element.index++) {
            if (differs(element, rule, from, to)) {
                config_element_path(element, rule->path, ret_path, CONFIG_SETTING_LEN);
                return true;
            }
        }
    }
    return false;
}
