/*
 * config_text: what a file is before it is YAML. Editors and shells of other systems leave marks
 * that a parser of YAML calls by names which help nobody.
 */
#ifndef BASE_CONFIG_TEXT_H
#define BASE_CONFIG_TEXT_H

#include <yaml.h>

#include "base/config_place.h"
#include "base/span.h"

/*
 * Passes over a byte order mark of UTF-8 at the front of *text. Refuses UTF-16, NUL and control
 * characters.
 */
MUST_USE err_t config_text_check(struct config_place *place, struct span *text);

/*
 * The sentence and the line for what the parser does not take. Its problem holds no bytes of the
 * file.
 */
MUST_USE err_t config_text_refuse(struct config_place *place, const yaml_parser_t *parser,
                                  struct span text);

#endif
