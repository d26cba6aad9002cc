/*
 * config_value: one value of the file into its field, checked by its rule. Private to
 * base/config*.c.
 */
#ifndef BASE_CONFIG_VALUE_H
#define BASE_CONFIG_VALUE_H

#include "base/config_place.h"

/* A scalar as it stands in the file: text without NUL and control characters. */
struct config_value {
    struct span text;
    bool quoted;
};

/* Kinds from NUMBER to GROUP. The place names the rule. */
MUST_USE err_t config_value_set(const struct config_place *place, struct config_value value,
                                struct config *config);

/* One more item of allowed_uids, waive, env. */
MUST_USE err_t config_value_add(const struct config_place *place, struct config_value value,
                                struct config *config);
MUST_USE err_t config_env_add(const struct config_place *place, struct config_value name,
                              struct config_value value, struct config *config);

/* The default of a rule that was not given. */
MUST_USE err_t config_value_preset(const struct config_place *place, struct config *config);

#endif
