/*
 * output: what a command found, as JSON or as text for people. One model for both: a JSON object
 * prints as lines "name  value", an array of objects as a table with the names of the first one as
 * heading.
 */
#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H

#include <jansson.h>
#include <stdint.h>

#include "base/own.h"
#include "ctl/ctl.h"

static inline void output_decref_p(json_t **json)
{
    json_decref(*json);
}
#define OWN_JSON CLEANUP(output_decref_p) json_t

/*
 * Prints; the JSON stays the caller's. False when it could not be written, which ctl->err is told.
 */
bool output_print(const struct ctl *ctl, const json_t *json);

/*
 * Out of memory, which is all that can fail here, ends the program. Texts are stored as
 * span_to_text shows them.
 */
void output_text(json_t *object, const char *name, const char *value);
void output_number(json_t *object, const char *name, int64_t value);
void output_bool(json_t *object, const char *name, bool value);
/* What could not be found out: null, or "unknown" in text. */
void output_unknown(json_t *object, const char *name);
/* These take the member over. */
void output_member(json_t *object, const char *name, json_t *member);
void output_row(json_t *array, json_t *row);

#endif
