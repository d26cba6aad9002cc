#include "base/config_schema.h"

#include <string.h>

static struct span field_of(const struct config *config, const struct config_rule *rule)
{
    return span_of((const uint8_t *)config + rule->offset, rule->size);
}

/* Lists are zero past their end, so their bytes differ when their count does. */
const char *config_fixed_difference(const struct config *from, const struct config *to)
{
    for (size_t i = 0; i < config_rules_n; i++) {
        const struct config_rule *rule = &config_rules[i];
        bool fixed = !rule->live && rule->offset != CONFIG_NO_FIELD;
        if (fixed && !span_equal(field_of(from, rule), field_of(to, rule))) {
            return rule->path;
        }
    }
    return NULL;
}

void config_print_schema(FILE *out)
{
    for (size_t i = 0; i < config_rules_n; i++) {
        const struct config_rule *rule = &config_rules[i];
        char accepted[256];
        config_accepted(rule, accepted, sizeof(accepted));
        (void)fprintf(out, "%-22s %s", rule->path, accepted);
        if (rule->preset == NULL) {
            (void)fprintf(out, "; required");
        } else if (rule->preset[0] != '\0') {
            (void)fprintf(out, "; default %s", rule->preset);
        }
        (void)fprintf(out, "; %s\n", rule->meaning);
    }
}
