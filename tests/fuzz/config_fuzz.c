/* Any bytes as a configuration: it is accepted whole, or refused with a text; never half of it. */
#include "base/config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_sane(const struct config *config)
{
    const struct config_token *token = &config->tokens[0];
    bool one_pin = (token->pin_file[0] == '\0') != (token->pin_credential[0] == '\0');
    return config->magic == CONFIG_MAGIC && config->tokens_n == 1 && one_pin &&
           config->ring[0] != '\0' && token->module[0] == '/' && token->sessions >= 1 &&
           token->sessions <= 64 && config->listen.allowed_uids_n >= 1 &&
           config->listen.allowed_uids_n <= CONFIG_UIDS_MAX && token->env_n <= CONFIG_ENV_MAX &&
           token->waive_n <= CONFIG_WAIVE_MAX && ends(config->ring, sizeof(config->ring)) &&
           ends(token->uri, sizeof(token->uri)) && ends(config->listen.socket, 108);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config = {0};
    struct config_problem problem = {0};
    err_t err = config_parse("fuzz.yaml", (const char *)data, size, &config, &problem);
    char path[CONFIG_SETTING_LEN];
    if (!failed(err) && (!is_sane(&config) || config_fixed_difference(&config, &config, path))) {
        abort();
    }
    if (failed(err) && (config.magic != 0 || !ends(problem.text, sizeof(problem.text)) ||
                        (err.code == E_INVALID && strncmp(problem.text, "fuzz.yaml:", 10) != 0))) {
        abort();
    }
    return 0;
}
