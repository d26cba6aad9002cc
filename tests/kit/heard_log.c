#include "tests/kit/heard_log.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tests/kit/unit.h"

#define LINES_MAX  64
#define FIELDS_MAX 4

static struct {
    char event[40];
    char texts[FIELDS_MAX][400];
} lines[LINES_MAX];
static size_t lines_n;

void __wrap_log_write(enum log_level level, const char *event, const struct log_field *fields,
                      size_t n);

void __wrap_log_write(enum log_level level, const char *event, const struct log_field *fields,
                      size_t n)
{
    (void)level;
    assert_true(lines_n < LINES_MAX && n <= FIELDS_MAX);
    (void)snprintf(lines[lines_n].event, sizeof(lines[0].event), "%s", event);
    for (size_t i = 0; i < FIELDS_MAX; i++) {
        bool is_text = i < n && fields[i].kind == LOG_KIND_TEXT;
        (void)snprintf(lines[lines_n].texts[i], sizeof(lines[0].texts[0]), "%s",
                       is_text ? fields[i].text : "");
    }
    lines_n++;
}

void heard_log_clear(void)
{
    lines_n = 0;
}

static bool has_text(size_t line, const char *text)
{
    bool has = text == NULL;
    for (size_t i = 0; i < FIELDS_MAX; i++) {
        has = has || strcmp(lines[line].texts[i], text) == 0;
    }
    return has;
}

unsigned heard_log_count(const char *event, const char *text)
{
    unsigned n = 0;
    for (size_t i = 0; i < lines_n; i++) {
        n += strcmp(lines[i].event, event) == 0 && has_text(i, text) ? 1 : 0;
    }
    return n;
}
