#include "base/config_shape.h"

#include <yaml.h>

#include "base/config_text.h"
#include "base/own.h"

#define DEPTH_MAX 4 /* file, tokens, token, env */

struct shape {
    int depth;
    int documents;
};

/* The sentence for what is wrong with an event, NULL when nothing is. */
static const char *scalar_fault(const yaml_event_t *event)
{
    if (event->data.scalar.anchor != NULL) {
        return "anchors are not accepted: write the value out";
    }
    if (event->data.scalar.tag != NULL) {
        return "tags are not accepted: write the value without one";
    }
    if (!span_is_text(span_of(event->data.scalar.value, event->data.scalar.length))) {
        return "control characters are not accepted";
    }
    return NULL;
}

static const char *open_fault(struct shape *shape, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    shape->depth++;
    if (anchor != NULL) {
        return "anchors are not accepted: write the value out";
    }
    if (tag != NULL) {
        return "tags are not accepted: write the value without one";
    }
    return shape->depth > DEPTH_MAX ? "nested deeper than any setting is" : NULL;
}

static const char *document_fault(struct shape *shape, const yaml_event_t *event)
{
    if (++shape->documents > 1) {
        return "a second document is not accepted: one file, one document";
    }
    bool directives = event->data.document_start.version_directive != NULL ||
                      event->data.document_start.tag_directives.start !=
                          event->data.document_start.tag_directives.end;
    return directives ? "directives are not accepted" : NULL;
}

static const char *event_fault(struct shape *shape, const yaml_event_t *event)
{
    if (event->type == YAML_SCALAR_EVENT) {
        return scalar_fault(event);
    }
    if (event->type == YAML_ALIAS_EVENT) {
        return "aliases are not accepted: write the value out";
    }
    if (event->type == YAML_DOCUMENT_START_EVENT) {
        return document_fault(shape, event);
    }
    if (event->type == YAML_MAPPING_START_EVENT) {
        return open_fault(shape, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    }
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        return open_fault(shape, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    }
    if (event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT) {
        shape->depth--;
    }
    return NULL;
}

err_t config_shape_check(struct config_place *place, struct span text)
{
    CLEANUP(yaml_parser_delete) yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) != 1) {
        return FAIL_DETAIL(E_SYSTEM, ENOMEM, "no memory to read the configuration");
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.ptr, text.len);
    struct shape shape = {0};
    for (bool end = false; !end;) {
        CLEANUP(yaml_event_delete) yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) != 1) {
            return config_text_refuse(place, &parser, text);
        }
        end = event.type == YAML_STREAM_END_EVENT;
        const char *fault = event_fault(&shape, &event);
        if (fault != NULL) {
            place->line = event.start_mark.line + 1;
            return config_refuse(place, NULL, "%s", fault);
        }
    }
    return OK;
}
