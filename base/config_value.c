#include "base/config_value.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "base/config_number.h"

#define SOCKET_PATH_MAX 107u /* sun_path without its NUL */

/* Choices are written as numbers into fields that are enums. */
_Static_assert(sizeof(enum config_mode) == sizeof(uint32_t), "an enum is no uint32_t here");

static uint8_t *field_of(const struct config_place *place, struct config *config)
{
    return (uint8_t *)config + config_field_offset(place->element, place->rule);
}

static err_t set_u32(const struct config_place *place, struct config *config, uint64_t number)
{
    if (place->rule->offset != CONFIG_NO_FIELD) {
        uint32_t field = (uint32_t)number;
        span_move(field_of(place, config), &field, sizeof(field));
    }
    return OK;
}

/* The fields are zeroed before, so the copy ends in a NUL. */
static err_t set_text(const struct config_place *place, struct config *config, struct span text)
{
    if (text.len >= place->rule->size) {
        return config_refuse_value(place, text, "is too long");
    }
    span_move(field_of(place, config), text.ptr, text.len);
    return OK;
}

static err_t set_number(const struct config_place *place, struct config_value value,
                        struct config *config)
{
    uint64_t number = 0;
    bool duration = place->rule->kind == CONFIG_DURATION;
    if (value.quoted || !(duration ? config_duration_read(value.text, &number)
                                   : config_number_read(value.text, &number))) {
        return config_refuse_value(place, value.text,
                                   duration ? "is not a duration" : "is not a number");
    }
    if (!config_range_holds(place->rule->range, duration, number)) {
        return config_refuse_value(place, value.text, "is out of range");
    }
    return set_u32(place, config, number);
}

/* Position of `word` in "a|b|c", -1 when it is not there. */
static int choice_index(const char *choices, struct span word)
{
    int index = 0;
    for (const char *at = choices; at != NULL; index++) {
        size_t len = strcspn(at, "|");
        if (span_equal(span_of(at, len), word)) {
            return index;
        }
        at = at[len] == '|' ? at + len + 1 : NULL;
    }
    return -1;
}

static err_t set_choice(const struct config_place *place, struct config_value value,
                        struct config *config)
{
    int index = choice_index(place->rule->range, value.text);
    if (index >= 0) {
        return set_u32(place, config, (uint64_t)index);
    }
    bool later = choice_index(place->rule->later, value.text) >= 0;
    return config_refuse_value(place, value.text,
                               later ? "is not available in this release" : "is not known");
}

static err_t set_word(const struct config_place *place, struct config_value value,
                      struct config *config)
{
    for (size_t i = 0; i < value.text.len; i++) {
        uint8_t byte = value.text.ptr[i];
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-", byte) == NULL) {
            return config_refuse_value(place, value.text, "has another character");
        }
    }
    if (!config_range_holds(place->rule->range, false, value.text.len)) {
        return config_refuse_value(place, value.text, "has a wrong length");
    }
    return set_text(place, config, value.text);
}

static bool begins_with(struct span text, const char *start)
{
    return span_equal(span_part(text, 0, strlen(start)), span_of_text(start));
}

static bool contains(struct span text, const char *part)
{
    for (size_t i = 0; i < text.len; i++) {
        if (begins_with(span_part(text, i, text.len - i), part)) {
            return true;
        }
    }
    return false;
}

static err_t set_path(const struct config_place *place, struct config_value value,
                      struct config *config)
{
    if (!begins_with(value.text, "/")) {
        return config_refuse_value(place, value.text, "is not an absolute path");
    }
    return set_text(place, config, value.text);
}

static err_t set_socket(const struct config_place *place, struct config_value value,
                        struct config *config)
{
    bool abstract = begins_with(value.text, "@") && value.text.len > 1;
    if (!abstract && !begins_with(value.text, "/")) {
        return config_refuse_value(place, value.text, "is neither");
    }
    if (value.text.len > SOCKET_PATH_MAX) {
        return config_refuse(place, place->rule->path,
                             "the path is %zu bytes long; accepted: at most %u bytes, the limit of "
                             "a unix socket",
                             value.text.len, SOCKET_PATH_MAX);
    }
    return set_text(place, config, value.text);
}

static err_t set_uri(const struct config_place *place, struct config_value value,
                     struct config *config)
{
    if (!begins_with(value.text, "pkcs11:")) {
        return config_refuse_value(place, value.text, "does not begin with \"pkcs11:\"");
    }
    if (contains(value.text, "pin-value") || contains(value.text, "pin-source")) {
        return config_refuse_value(place, value.text,
                                   "names a PIN (use pin_file or pin_credential)");
    }
    return set_text(place, config, value.text);
}

static err_t set_file(const struct config_place *place, struct config_value value,
                      struct config *config)
{
    bool dots =
        span_equal(value.text, span_of_text(".")) || span_equal(value.text, span_of_text(".."));
    if (value.text.len == 0 || dots || contains(value.text, "/")) {
        return config_refuse_value(place, value.text, "is not a file name");
    }
    return set_text(place, config, value.text);
}

static err_t set_mode(const struct config_place *place, struct config_value value,
                      struct config *config)
{
    if (!value.quoted || value.text.len != 4 || !begins_with(value.text, "0")) {
        return config_refuse_value(place, value.text, "is not such a mode");
    }
    uint32_t mode = 0;
    for (size_t i = 1; i < value.text.len; i++) {
        uint8_t byte = value.text.ptr[i];
        if (byte < '0' || byte > '7') {
            return config_refuse_value(place, value.text, "is not octal");
        }
        mode = mode << 3 | (uint32_t)(byte - '0');
    }
    return set_u32(place, config, mode);
}

/* A number, or a name that the system knows. UINT32_MAX is "no such id" to the kernel. */
static err_t set_id(const struct config_place *place, struct config_value value,
                    struct config *config)
{
    uint64_t id = 0;
    if (!value.quoted && config_number_read(value.text, &id)) {
        return id < CONFIG_ID_OWN ? set_u32(place, config, id)
                                  : config_refuse_value(place, value.text, "is out of range");
    }
    char name[64] = {0};
    if (value.text.len == 0 || !span_copy(span_mut_of(name, sizeof(name) - 1), value.text)) {
        return config_refuse_value(place, value.text, "is not a name");
    }
    if (place->rule->kind == CONFIG_USER) {
        const struct passwd *user = getpwnam(name);
        return user == NULL ? config_refuse_value(place, value.text, "is not a user of this system")
                            : set_u32(place, config, user->pw_uid);
    }
    const struct group *group = getgrnam(name);
    return group == NULL ? config_refuse_value(place, value.text, "is not a group of this system")
                         : set_u32(place, config, group->gr_gid);
}

static err_t set_plain_text(const struct config_place *place, struct config_value value,
                            struct config *config)
{
    return set_text(place, config, value.text);
}

err_t config_value_set(const struct config_place *place, struct config_value value,
                       struct config *config)
{
    typedef err_t setter(const struct config_place *, struct config_value, struct config *);
    static setter *const setters[] = {
        [CONFIG_NUMBER] = set_number,   [CONFIG_DURATION] = set_number,
        [CONFIG_CHOICE] = set_choice,   [CONFIG_WORD] = set_word,
        [CONFIG_PATH] = set_path,       [CONFIG_SOCKET] = set_socket,
        [CONFIG_URI] = set_uri,         [CONFIG_FILE] = set_file,
        [CONFIG_TEXT] = set_plain_text, [CONFIG_MODE] = set_mode,
        [CONFIG_USER] = set_id,         [CONFIG_GROUP] = set_id,
    };
    return setters[place->rule->kind](place, value, config);
}

static err_t preset_own_id(const struct config_place *place, struct config *config)
{
    return set_u32(place, config, CONFIG_ID_OWN);
}

err_t config_value_preset(const struct config_place *place, struct config *config)
{
    const struct config_rule *rule = place->rule;
    if (rule->preset == NULL) {
        return config_refuse(place, rule->path, "is required");
    }
    if (rule->kind == CONFIG_USER || rule->kind == CONFIG_GROUP) {
        return preset_own_id(place, config);
    }
    if (rule->kind == CONFIG_UIDS) {
        (void)config_list_grow(place->element, rule, config); /* zero is root */
        return OK;
    }
    if (rule->preset[0] == '\0') {
        return OK;
    }
    struct config_value preset = {span_of_text(rule->preset), rule->kind == CONFIG_MODE};
    return config_value_set(place, preset, config);
}
