#include "ctl/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

#define CELL_MAX 512

/* jansson fails only when memory ends; half an answer would mislead whoever reads it. */
static void must(int result)
{
    if (result != 0) {
        abort();
    }
}

void output_text(json_t *object, const char *name, const char *value)
{
    size_t size = strlen(value) + 1;
    CLEANUP(own_free_p) char *shown = malloc(size);
    must(shown == NULL ? -1 : 0);
    (void)span_to_text(span_of_text(value), shown, size);
    must(json_object_set_new(object, name, json_string(shown)));
}

void output_number(json_t *object, const char *name, int64_t value)
{
    must(json_object_set_new(object, name, json_integer(value)));
}

void output_bool(json_t *object, const char *name, bool value)
{
    must(json_object_set_new(object, name, json_boolean(value)));
}

void output_unknown(json_t *object, const char *name)
{
    must(json_object_set_new(object, name, json_null()));
}

void output_member(json_t *object, const char *name, json_t *member)
{
    must(json_object_set_new(object, name, member));
}

void output_row(json_t *array, json_t *row)
{
    must(json_array_append_new(array, row));
}

static void cell_text(const json_t *value, char cell[CELL_MAX])
{
    (void)snprintf(cell, CELL_MAX, "-");
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_STRING:
        if (json_string_length(value) > 0) {
            (void)span_to_text(span_of_text(json_string_value(value)), cell, CELL_MAX);
        }
        break;
    case JSON_INTEGER:
        (void)snprintf(cell, CELL_MAX, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_TRUE:
        (void)snprintf(cell, CELL_MAX, "yes");
        break;
    case JSON_FALSE:
        (void)snprintf(cell, CELL_MAX, "no");
        break;
    case JSON_NULL:
        (void)snprintf(cell, CELL_MAX, value == NULL ? "-" : "unknown");
        break;
    case JSON_REAL:
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
}

/* Characters of a text that span_to_text has passed: the bytes that begin one. */
static int width_of(const char *text)
{
    int n = 0;
    for (const char *at = text; *at != '\0'; at++) {
        n += ((unsigned char)*at & 0xc0) != 0x80;
    }
    return n;
}

static int wider(int width, const char *text)
{
    int own = width_of(text);
    return own > width ? own : width;
}

static int column_width(const json_t *rows, const char *name)
{
    char cell[CELL_MAX];
    int width = wider(0, name);
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        cell_text(json_object_get(row, name), cell);
        width = wider(width, cell);
    }
    return width;
}

/*
 * The columns are those of the first row. Measured once: a listing of etcd has thousands of rows.
 */
static json_t *column_widths(const json_t *rows)
{
    json_t *widths = json_object();
    json_t *first = json_array_get(rows, 0);
    for (void *it = json_object_iter(first); it != NULL; it = json_object_iter_next(first, it)) {
        const char *name = json_object_iter_key(it);
        output_number(widths, name, column_width(rows, name));
    }
    return widths;
}

/* NULL: the headings. */
static void print_row(const struct ctl *ctl, json_t *widths, const json_t *row)
{
    char cell[CELL_MAX];
    const char *line_end = "";
    void *it = json_object_iter(widths);
    while (it != NULL) {
        const char *name = json_object_iter_key(it);
        int width = (int)json_integer_value(json_object_iter_value(it));
        it = json_object_iter_next(widths, it);
        (void)snprintf(cell, sizeof(cell), "%s", name);
        if (row != NULL) {
            cell_text(json_object_get(row, name), cell);
        }
        int pad = it == NULL ? 0 : width - width_of(cell);
        (void)fprintf(ctl->out, "%s%s%*s", line_end, cell, pad, "");
        line_end = "  ";
    }
    (void)fputc('\n', ctl->out);
}

static void print_table(const struct ctl *ctl, const json_t *rows)
{
    size_t i;
    const json_t *row;
    if (json_array_size(rows) == 0) {
        (void)fputs("(none)\n", ctl->out);
        return;
    }
    OWN_JSON *widths = column_widths(rows);
    print_row(ctl, widths, NULL);
    json_array_foreach(rows, i, row)
    {
        print_row(ctl, widths, row);
    }
}

static void print_lines(const struct ctl *ctl, const json_t *object)
{
    char cell[CELL_MAX];
    int width = 0;
    const char *name;
    json_t *value;
    OWN_JSON *copy = json_copy((json_t *)(uintptr_t)object); /* its walk wants no const */
    json_object_foreach(copy, name, value)
    {
        width = wider(width, name);
    }
    json_object_foreach(copy, name, value)
    {
        if (json_is_array(value)) {
            (void)fprintf(ctl->out, "%s:\n", name);
            print_table(ctl, value);
            continue;
        }
        cell_text(value, cell);
        (void)fprintf(ctl->out, "%-*s  %s\n", width, name, cell);
    }
}

static bool is_written(const struct ctl *ctl)
{
    errno = 0;
    if (fflush(ctl->out) == 0 && ferror(ctl->out) == 0) {
        return true;
    }
    (void)fprintf(ctl->err, "p11-kmsctl: the answer could not be written to standard output: %s\n",
                  errno != 0 ? strerror(errno) : "output error");
    return false;
}

bool output_print(const struct ctl *ctl, const json_t *json)
{
    if (ctl->output == CTL_JSON) {
        (void)json_dumpf(json, ctl->out, JSON_INDENT(2));
        (void)fputc('\n', ctl->out);
    } else if (json_is_array(json)) {
        print_table(ctl, json);
    } else {
        print_lines(ctl, json);
    }
    return is_written(ctl);
}
