#define _GNU_SOURCE
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/span.h"

#define LINE_MAX_BYTES 2048u
/* Kept free for the end of a line that was cut: `…"` + `,"cut":"…"` + `}` + newline. */
#define TAIL_BYTES 24u
#define ELLIPSIS   "\xe2\x80\xa6"

static _Atomic(const char *) log_program;
static atomic_int log_format = LOG_FORMAT_TEXT;
static atomic_int log_level = LOG_LEVEL_INFO;
static atomic_uint log_lost; /* lines since the last one that was written */

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

struct line {
    char text[LINE_MAX_BYTES];
    struct writer out;
    bool json;
    bool cut; /* a field was left out: nothing is added after it */
};

void log_init(const char *program, enum log_format format, enum log_level level)
{
    atomic_store(&log_program, program);
    log_set(format, level);
}

void log_set(enum log_format format, enum log_level level)
{
    atomic_store(&log_format, (int)format);
    atomic_store(&log_level, (int)level);
}

static size_t room_left(const struct line *line)
{
    return line->out.room.len - line->out.len;
}

/* All of it or nothing. */
static bool put(struct line *line, struct span bytes)
{
    if (bytes.len > room_left(line)) {
        return false;
    }
    writer_bytes(&line->out, bytes);
    return true;
}

/* Opens a field when its key and `value_len` bytes fit; else the line is cut before it. */
static bool put_key(struct line *line, const char *key, size_t value_len)
{
    size_t around = sizeof(",\"\":") - 1;
    if (line->cut || strlen(key) + around + value_len > room_left(line)) {
        line->cut = true;
        return false;
    }
    bool first = line->out.len == 0;
    if (line->json) {
        (void)put(line, span_of_text(first ? "{\"" : ",\""));
        (void)put(line, span_of_text(key));
        return put(line, span_of_text("\":"));
    }
    (void)put(line, span_of_text(first ? "" : " "));
    (void)put(line, span_of_text(key));
    return put(line, span_of_text("="));
}

/* A word of ours that needs no escape: bare in text, a string in JSON. */
static void put_word(struct line *line, const char *key, const char *word)
{
    const char *quote = line->json ? "\"" : "";
    if (put_key(line, key, strlen(word) + 2)) {
        (void)put(line, span_of_text(quote));
        (void)put(line, span_of_text(word));
        (void)put(line, span_of_text(quote));
    }
}

static void put_number(struct line *line, const char *key, int64_t number)
{
    char digits[24];
    (void)snprintf(digits, sizeof(digits), "%" PRId64, number);
    if (put_key(line, key, strlen(digits))) {
        (void)put(line, span_of_text(digits));
    }
}

/*
 * What stands in the line for the character at `at`: itself, or an escape that is right in JSON
 * too.
 */
static struct span escaped(const char *at, char room[8], size_t *ret_step)
{
    uint32_t point = 0;
    size_t step = span_character(span_of(at, strnlen(at, 4)), &point);
    *ret_step = step == 0 ? 1 : step;
    if (step == 0) {
        (void)snprintf(room, 8, "\\ufffd");
    } else if (point == '"' || point == '\\') {
        (void)snprintf(room, 8, "\\%c", *at);
    } else if (point == '\n') {
        (void)snprintf(room, 8, "\\n");
    } else if (!span_is_shown(point)) {
        (void)snprintf(room, 8, "\\u%04x", point & 0xffffu);
    } else {
        return span_of(at, step);
    }
    return span_of_text(room);
}

static void put_text(struct line *line, const char *key, const char *text)
{
    if (!put_key(line, key, sizeof("\"" ELLIPSIS "\"") - 1)) {
        return;
    }
    (void)put(line, span_of_text("\""));
    const char *at = text == NULL ? "" : text;
    while (*at != '\0') {
        char room[8];
        size_t step = 0;
        if (!put(line, escaped(at, room, &step))) {
            line->out.room.len += sizeof(ELLIPSIS) - 1;
            (void)put(line, span_of_text(ELLIPSIS));
            break;
        }
        at += step;
    }
    line->out.room.len += 1;
    (void)put(line, span_of_text("\""));
    line->out.room.len =
        line->out.len > LINE_MAX_BYTES - TAIL_BYTES ? line->out.len : LINE_MAX_BYTES - TAIL_BYTES;
}

static void put_err(struct line *line, const char *key, err_t err)
{
    put_word(line, key, err_code_name(err.code));
    if (err.what != NULL) {
        put_text(line, "what", err.what);
    }
    if (err.where != NULL) {
        put_text(line, "where", err.where);
    }
    if (err.detail == 0) {
        return;
    }
    char number[24];
    if (err.code == E_SYSTEM) {
        const char *name = strerrorname_np((int)err.detail);
        (void)snprintf(number, sizeof(number), "%lu", err.detail);
        put_word(line, "errno", name == NULL ? number : name);
    } else {
        (void)snprintf(number, sizeof(number), "0x%lx", err.detail);
        put_word(line, "rv", number);
    }
}

/* gmtime_r would read the time zone files, and allocate; civil date from days after Hinnant. */
static void put_time(struct line *line)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int64_t seconds = now.tv_sec;
    int64_t day = seconds / 86400 + 719468; /* since 0000-03-01 */
    int64_t era = day / 146097;
    int64_t of_era = day % 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    int64_t clock = seconds % 86400;
    char text[128];
    (void)snprintf(text, sizeof(text),
                   "%04" PRId64 "-%02" PRId64 "-%02" PRId64 "T%02" PRId64 ":%02" PRId64
                   ":%02" PRId64 ".%03ldZ",
                   year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1, clock / 3600,
                   clock / 60 % 60, clock % 60, now.tv_nsec / 1000000);
    put_word(line, "time", text);
}

static void put_field(struct line *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_KIND_TEXT:
        put_text(line, field->key, field->text);
        break;
    case LOG_KIND_NUMBER:
        put_number(line, field->key, field->number);
        break;
    case LOG_KIND_ERR:
        put_err(line, field->key, field->err);
        break;
    }
}

static void end_line(struct line *line)
{
    line->out.room.len = LINE_MAX_BYTES;
    if (line->cut) {
        (void)put(line, span_of_text(line->json ? ",\"cut\":\"" ELLIPSIS "\"" : " " ELLIPSIS));
    }
    (void)put(line, span_of_text(line->json ? "}\n" : "\n"));
}

/*
 * Whoever serves must not wait for whoever reads the log: what finds no room is lost, and counted.
 */
static bool has_room(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) != 0;
}

/* One write, so that lines of several processes never mix. A log that cannot be written is lost. */
static void send_line(const struct line *line)
{
    ssize_t sent = 0;
    do {
        sent = write(STDERR_FILENO, line->text, line->out.len);
    } while (sent < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    if ((int)level < atomic_load(&log_level)) {
        return;
    }
    int saved_errno = errno;
    if (!has_room()) {
        atomic_fetch_add(&log_lost, 1);
        errno = saved_errno;
        return;
    }
    unsigned lost = atomic_exchange(&log_lost, 0);
    struct line line;
    line.out = writer_of(span_mut_of(line.text, LINE_MAX_BYTES - TAIL_BYTES));
    line.json = atomic_load(&log_format) == LOG_FORMAT_JSON;
    line.cut = false;
    const char *program = atomic_load(&log_program);
    put_time(&line);
    put_word(&line, "level", level_names[level]);
    put_word(&line, "event", event);
    if (program != NULL) {
        put_word(&line, "program", program);
    }
    if (lost > 0) {
        put_number(&line, "lost", lost);
    }
    for (size_t i = 0; i < n; i++) {
        put_field(&line, &fields[i]);
    }
    end_line(&line);
    send_line(&line);
    errno = saved_errno;
}
