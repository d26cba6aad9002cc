#include "base/config_schema.h"

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
