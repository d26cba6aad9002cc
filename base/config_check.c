#include "base/config_check.h"

#include <string.h>

static err_t check_pin(const struct config_place *place, const struct config_token *token)
{
    bool file = token->pin_file[0] != '\0';
    bool credential = token->pin_credential[0] != '\0';
    if (file == credential) {
        return config_refuse(place, "tokens",
                             "%s; accepted: exactly one of pin_file and pin_credential",
                             file ? "both PIN sources are given" : "no PIN source is given");
    }
    return OK;
}

static err_t check_name(const struct config_place *place, const struct config_token *tokens)
{
    const char *name = tokens[place->element.index].name;
    for (uint32_t i = 0; i < place->element.index; i++) {
        if (strcmp(tokens[i].name, name) == 0) {
            return config_refuse(
                place, "tokens.name",
                "value \"%s\" names another token too; accepted: a name of its own", name);
        }
    }
    return OK;
}

err_t config_check_token(const struct config_place *place, const struct config *config)
{
    TRY(check_pin(place, &config->tokens[place->element.index]));
    return check_name(place, config->tokens);
}
