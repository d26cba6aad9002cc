#include "base/config_place.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 72u

void config_show(struct span value, char *text, size_t size)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    if (span_to_text(value, text, size - (sizeof(ellipsis) - 1)) < value.len) {
        span_move(text + strlen(text), ellipsis, sizeof(ellipsis));
    }
}

err_t config_refuse(const struct config_place *place, const char *path, const char *format, ...)
{
    char *text = place->problem->text;
    size_t size = sizeof(place->problem->text);
    char setting[128];
    config_element_path(place->element, path == NULL ? "" : path, setting, sizeof(setting));
    int head = snprintf(text, size, "%s:%zu: %s%s", place->file, place->line, setting,
                        path == NULL ? "" : ": ");
    if (head > 0 && (size_t)head < size) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(text + head, size - (size_t)head, format, args);
        va_end(args);
        span_end_whole(text);
    }
    return FAIL(E_INVALID, "the configuration is not accepted");
}

err_t config_refuse_value(const struct config_place *place, struct span value, const char *what)
{
    char accepted[256];
    char shown[SHOWN_MAX];
    config_accepted(place->rule, accepted, sizeof(accepted));
    config_show(value, shown, sizeof(shown));
    if (place->rule->quiet) {
        return config_refuse(place, place->rule->path, "the value %s; accepted: %s", what,
                             accepted);
    }
    return config_refuse(place, place->rule->path, "value \"%s\" %s; accepted: %s", shown, what,
                         accepted);
}
