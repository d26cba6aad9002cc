#include "base/config_text.h"

static bool begins_with(struct span text, const char *front, size_t len)
{
    return span_equal(span_part(text, 0, len), span_of(front, len)) && text.len >= len;
}

/* With its mark, or without: then every second byte of plain text is NUL. */
static bool is_utf16(struct span text)
{
    bool marked = begins_with(text, "\xff\xfe", 2) || begins_with(text, "\xfe\xff", 2);
    return marked || (text.len >= 2 && (text.ptr[0] == 0) != (text.ptr[1] == 0));
}

static size_t line_of(struct span text, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        line += text.ptr[i] == '\n';
    }
    return line;
}

static bool is_control(uint8_t byte)
{
    return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
}

err_t config_text_check(struct config_place *place, struct span *text)
{
    struct span rest = *text;
    if (begins_with(rest, "\xef\xbb\xbf", 3)) {
        rest = span_part(rest, 3, rest.len - 3);
    }
    if (is_utf16(rest)) {
        return config_refuse(
            place, NULL,
            "the file is UTF-16; accepted: UTF-8, as `iconv -f UTF-16 -t UTF-8` makes it");
    }
    for (size_t i = 0; i < rest.len; i++) {
        if (is_control(rest.ptr[i])) {
            place->line = line_of(rest, i);
            return config_refuse(place, NULL,
                                 "not text: control character %u%s; accepted: UTF-8 text",
                                 (unsigned)rest.ptr[i], rest.ptr[i] == 0 ? " (NUL)" : "");
        }
    }
    *text = rest;
    return OK;
}

/* line: from 1. True when what stands ahead of its first word holds a tab. */
static bool tab_leads(struct span text, size_t line)
{
    size_t at = 0;
    for (size_t n = 1; n < line && at < text.len; at++) {
        n += text.ptr[at] == '\n';
    }
    while (at < text.len && text.ptr[at] == ' ') {
        at++;
    }
    return at < text.len && text.ptr[at] == '\t';
}

err_t config_text_refuse(struct config_place *place, const yaml_parser_t *parser, struct span text)
{
    const char *problem = parser->problem == NULL ? "no memory" : parser->problem;
    if (parser->error == YAML_READER_ERROR) { /* which knows an offset and no line */
        place->line = line_of(text, parser->problem_offset);
        return config_refuse(place, NULL, "not UTF-8: %s; accepted: UTF-8 text", problem);
    }
    place->line = parser->problem_mark.line + 1;
    if (tab_leads(text, place->line)) {
        return config_refuse(place, NULL, "not YAML: a tab indents this line; accepted: blanks");
    }
    return config_refuse(place, NULL, "not YAML: %s; accepted: one YAML document", problem);
}
