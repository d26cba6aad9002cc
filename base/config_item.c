#include "base/config_value.h"

#include <stdio.h>
#include <string.h>

#include "base/config_number.h"

/* NULL: the list is full. */
static uint8_t *grow(const struct config_place *place, struct config *config)
{
    return config_list_grow(place->element, place->rule, config);
}

static err_t add_uid(const struct config_place *place, struct config_value value,
                     struct config *config)
{
    uint64_t uid = 0;
    if (value.quoted || !config_number_read(value.text, &uid) || uid >= UINT32_MAX) {
        return config_refuse_value(place, value.text, "is not a user number");
    }
    uint8_t *item = grow(place, config);
    if (item == NULL) {
        return config_refuse_value(place, value.text, "is one too many");
    }
    span_move(item, &(uint32_t){(uint32_t)uid}, sizeof(uint32_t));
    return OK;
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static err_t add_kek_id(const struct config_place *place, struct config_value value,
                        struct config *config)
{
    struct config_waiver waiver = {0};
    if (value.text.len != 2 * sizeof(waiver.kek_id)) {
        return config_refuse_value(place, value.text, "is not a kek_id");
    }
    uint8_t *item = grow(place, config);
    if (item == NULL) {
        return config_refuse_value(place, value.text, "is one too many");
    }
    for (size_t i = 0; i < sizeof(waiver.kek_id); i++) {
        int high = hex_digit(value.text.ptr[2 * i]);
        int low = hex_digit(value.text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return config_refuse_value(place, value.text, "is not a kek_id");
        }
        waiver.kek_id[i] = (uint8_t)(high << 4 | low);
    }
    span_move(item, &waiver, sizeof(waiver));
    return OK;
}

err_t config_value_add(const struct config_place *place, struct config_value value,
                       struct config *config)
{
    if (place->rule->kind == CONFIG_UIDS) {
        return add_uid(place, value, config);
    }
    return add_kek_id(place, value, config);
}

/*
 * LD_* would load code into the process that holds the PIN; *PIN* would put the PIN where ps shows
 * it.
 */
static bool env_name_is_fine(struct span name)
{
    char text[64] = {0};
    if (name.len == 0 || !span_copy(span_mut_of(text, sizeof(text) - 1), name)) {
        return false;
    }
    bool plain = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == name.len;
    bool digit_first = text[0] >= '0' && text[0] <= '9';
    return plain && !digit_first && strncmp(text, "LD_", 3) != 0 && strstr(text, "PIN") == NULL;
}

static bool env_has(const struct config_place *place, const struct config *config, struct span name)
{
    const char *entry = (const char *)config + config_field_offset(place->element, place->rule);
    uint32_t n = config_list_n(place->element, place->rule, config);
    for (uint32_t i = 0; i < n; i++, entry += place->rule->size) {
        if (span_equal(span_of(entry, strcspn(entry, "=")), name)) {
            return true;
        }
    }
    return false;
}

err_t config_env_add(const struct config_place *place, struct config_value name,
                     struct config_value value, struct config *config)
{
    char shown[72];
    config_show(name.text, shown, sizeof(shown));
    if (!env_name_is_fine(name.text)) {
        return config_refuse(place, place->rule->path,
                             "name \"%s\" is refused; accepted: [A-Z_][A-Z0-9_]* of at most 63 "
                             "characters, but not LD_* and not *PIN*",
                             shown);
    }
    if (env_has(place, config, name.text)) {
        return config_refuse(place, place->rule->path, "name \"%s\" is given twice; accepted: once",
                             shown);
    }
    uint8_t *item = grow(place, config);
    if (item == NULL) {
        return config_refuse(place, place->rule->path,
                             "name \"%s\" is one too many; accepted: at most %u", shown,
                             CONFIG_ENV_MAX);
    }
    struct writer entry = writer_of(span_mut_of(item, place->rule->size - 1));
    writer_bytes(&entry, name.text);
    writer_u8(&entry, '=');
    writer_bytes(&entry, value.text);
    if (entry.bad) {
        return config_refuse(place, place->rule->path,
                             "name \"%s\" has too long a value; accepted: NAME=value of at most %u "
                             "bytes",
                             shown, CONFIG_TEXT_LEN - 1);
    }
    return OK;
}
