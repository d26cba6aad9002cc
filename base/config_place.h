/*
 * config_place: where in the file a reader is, and the one way to say what is wrong there.
 * Private to base/config*.c.
 */
#ifndef BASE_CONFIG_PLACE_H
#define BASE_CONFIG_PLACE_H

#include "base/config_element.h"

struct config_place {
    const char *file;
    size_t line;
    struct config_element element; /* of a list, within which this place is */
    const struct config_rule *rule;
    struct config_problem *problem;
};

/*
 * "FILE:LINE: PATH: WHAT", from a format; E_INVALID. path may be NULL; where the place is within
 * one of several elements it says which.
 */
MUST_USE __attribute__((format(printf, 3, 4))) err_t
config_refuse(const struct config_place *place, const char *path, const char *format, ...);

/* "FILE:LINE: PATH: value "V" WHAT; accepted: ...", from the rule at this place; E_INVALID. */
MUST_USE err_t config_refuse_value(const struct config_place *place, struct span value,
                                   const char *what);

/* `value` as one short text for a message (span_to_text), cut with "…". size >= 4. */
void config_show(struct span value, char *text, size_t size);

#endif
