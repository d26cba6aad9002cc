#define _GNU_SOURCE
#include "base/config.h"

#include <fcntl.h>
#include <string.h>

#include "base/config_shape.h"
#include "base/config_text.h"
#include "base/config_walk.h"
#include "base/own.h"
#include "base/span.h"
#include "base/version.h"

#define FILE_MAX_BYTES (64u * 1024)

static err_t set_origin(const struct config_place *place, struct config *config)
{
    config->magic = CONFIG_MAGIC;
    config->version = CONFIG_VERSION;
    if (!span_copy(span_mut_of(config->build_id, sizeof(config->build_id) - 1),
                   span_of_text(P11KMS_BUILD_ID))) {
        return FAIL(E_BUG, "the build id is too long");
    }
    if (!span_copy(span_mut_of(config->path, sizeof(config->path) - 1),
                   span_of_text(place->file))) {
        return config_refuse(place, NULL, "the path of this file is too long; accepted: %zu bytes",
                             sizeof(config->path) - 1);
    }
    return OK;
}

err_t config_parse(const char *name, const char *text, size_t len, struct config *ret_config,
                   struct config_problem *problem)
{
    struct config_place place = {.file = name, .line = 1, .problem = problem};
    struct config config;
    (void)memset(&config, 0,
                 sizeof(config)); /* padding too: it is compared and handed on as bytes */
    problem->text[0] = '\0';
    TRY(set_origin(&place, &config));
    if (len > FILE_MAX_BYTES) {
        return config_refuse(&place, NULL, "the file is too large; accepted: at most %u bytes",
                             FILE_MAX_BYTES);
    }
    struct span bytes = span_of(text, len);
    TRY(config_text_check(&place, &bytes));
    TRY(config_shape_check(&place, bytes));
    TRY(config_walk(&place, bytes, &config));
    *ret_config = config;
    return OK;
}

/* One byte more than is accepted, so that config_parse sees a file that is too large. */
static err_t read_file(const char *path, char *room, size_t size, size_t *ret_len)
{
    OWN_FILE *file = fopen(path, "re");
    if (file == NULL) {
        return FAIL_ERRNO("cannot open the configuration");
    }
    size_t len = fread(room, 1, size, file);
    if (ferror(file) != 0) {
        return FAIL_ERRNO("cannot read the configuration");
    }
    *ret_len = len;
    return OK;
}

/* systemd names the folder of its credentials in the environment only. */
static err_t set_credentials_dir(const char *path, struct config_token *token,
                                 struct config_problem *problem)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL || token->pin_credential[0] == '\0') {
        return OK;
    }
    struct span_mut room = span_mut_of(token->credentials_dir, sizeof(token->credentials_dir) - 1);
    if (folder[0] != '/' || !span_copy(room, span_of_text(folder))) {
        struct config_place place = {.file = path, .line = 1, .problem = problem};
        return config_refuse(
            &place, "tokens.pin_credential",
            "$CREDENTIALS_DIRECTORY is not a folder that can be used; accepted: an "
            "absolute path of at most %zu bytes",
            room.len);
    }
    return OK;
}

err_t config_load(const char *path, struct config *ret_config, struct config_problem *problem)
{
    CLEANUP(own_free_p) char *text = malloc(FILE_MAX_BYTES + 1);
    if (text == NULL) {
        return FAIL_ERRNO("no memory to read the configuration");
    }
    size_t len = 0;
    err_t err = read_file(path, text, FILE_MAX_BYTES + 1, &len);
    if (failed(err)) {
        (void)snprintf(problem->text, sizeof(problem->text), "%s: cannot be read: %s", path,
                       strerrordesc_np((int)err.detail));
        return err;
    }
    struct config config = {0};
    TRY(config_parse(path, text, len, &config, problem));
    for (uint32_t i = 0; i < config.tokens_n; i++) {
        TRY(set_credentials_dir(path, &config.tokens[i], problem));
    }
    *ret_config = config;
    return OK;
}

bool config_waives(const struct config_token *token, const uint8_t kek_id[16])
{
    for (uint32_t i = 0; i < token->waive_n; i++) {
        if (span_equal(span_of(token->waive[i].kek_id, 16), span_of(kek_id, 16))) {
            return true;
        }
    }
    return false;
}
