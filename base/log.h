/*
 * log: one line an event to stderr, as key=value or JSON. There is no function that takes bytes: a
 * field is a NUL-terminated text (control characters are escaped), a number, or an err_t. Never
 * give it a seed, DEK or PIN. Inner rooms do not log; the end of a call, a connection, a state
 * change do.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/event.h"

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_kind { LOG_KIND_TEXT, LOG_KIND_NUMBER, LOG_KIND_ERR };

struct log_field {
    const char *key; /* literal, [a-z_]+ */
    enum log_kind kind;
    const char *text;
    int64_t number;
    err_t err;
};

#define LOG_TEXT(key_, value_)                                                                     \
    ((struct log_field){.key = (key_), .kind = LOG_KIND_TEXT, .text = (value_)})
#define LOG_NUM(key_, value_)                                                                      \
    ((struct log_field){.key = (key_), .kind = LOG_KIND_NUMBER, .number = (int64_t)(value_)})
/* Expands to err=<class> what="…" where=… and errno=… or rv=…. */
#define LOG_ERR(value_) ((struct log_field){.key = "err", .kind = LOG_KIND_ERR, .err = (value_)})

/* `program` is a literal, written in each line. Before it: text to stderr, level info. */
void log_init(const char *program, enum log_format format, enum log_level level);
/* For a reload. */
void log_set(enum log_format format, enum log_level level);

/*
 * log_event(EVENT_STARTED, LOG_TEXT(...), LOG_NUM(...)): a line of this event, at the level of its
 * row. The last field only ends the list.
 */
#define log_event(...) LOG_LIST_(__VA_ARGS__, ((struct log_field){0}))
/* The same at another level: worse than usual. */
#define log_event_at(level_, ...) LOG_LIST_AT_(level_, __VA_ARGS__, ((struct log_field){0}))

#define LOG_LIST_(event_, ...) LOG_LIST_AT_(event_row(event_)->level, event_, __VA_ARGS__)
#define LOG_LIST_AT_(level_, event_, ...)                                                          \
    do {                                                                                           \
        const struct log_field log_fields_[] = {__VA_ARGS__};                                      \
        log_event_write((level_), (event_), log_fields_,                                           \
                        sizeof(log_fields_) / sizeof(log_fields_[0]) - 1);                         \
    } while (0)

/* For who has the fields in an array. Counts the event. */
void log_event_write(enum log_level level, enum event event, const struct log_field *fields,
                     size_t n);

/*
 * The writer below them: a line of this name, whatever the table says. At most 2 KiB a line, cut
 * with an ellipsis. Thread safe. Never waits for a reader: lines that find no room are lost, and
 * the next one says how many ("lost").
 */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);

#endif
