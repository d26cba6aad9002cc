#include "base/log_limit.h"

#include "base/log.h"

bool log_limit_passes(struct log_limit *limit, int64_t now_ms)
{
    log_limit_tick(limit, now_ms);
    if (limit->n == 0) {
        limit->from_ms = now_ms;
    }
    bool passes = limit->n++ < LOG_LIMIT_LINES;
    if (!passes) {
        event_note(limit->event);
    }
    return passes;
}

void log_limit_tick(struct log_limit *limit, int64_t now_ms)
{
    if (limit->n == 0 || now_ms - limit->from_ms < LOG_LIMIT_MS) {
        return;
    }
    if (limit->n > LOG_LIMIT_LINES) {
        const struct log_field left_out = LOG_NUM("suppressed", limit->n - LOG_LIMIT_LINES);
        log_write(LOG_LEVEL_WARN, event_row(limit->event)->name, &left_out, 1);
    }
    limit->n = 0;
}

int64_t log_limit_next_ms(const struct log_limit *limit)
{
    return limit->n > LOG_LIMIT_LINES ? limit->from_ms + LOG_LIMIT_MS : INT64_MAX;
}
