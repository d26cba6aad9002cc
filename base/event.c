#include "base/event.h"

#include <stdatomic.h>

#include "base/log.h"

#define EVENT_ROW_(id_, name_, level_, counter_, audited_)                                         \
    [EVENT_##id_] = {name_, LOG_LEVEL_##level_, counter_, audited_},
static const struct event_row rows[] = {EVENTS(EVENT_ROW_)};

static _Atomic uint64_t counts[EVENTS_N];

const struct event_row *event_row(enum event event)
{
    return &rows[event];
}

void event_note(enum event event)
{
    atomic_fetch_add_explicit(&counts[event], 1, memory_order_relaxed);
}

uint64_t event_count(enum event event)
{
    return atomic_load_explicit(&counts[event], memory_order_relaxed);
}

void log_event_write(enum log_level level, enum event event, const struct log_field *fields,
                     size_t n)
{
    event_note(event);
    log_write(level, rows[event].name, fields, n);
}
