/*
 * log_limit: at most ten lines of one event in ten seconds, and how many were left out. Whoever
 * reaches us may send garbage all day: ten lines say it as well, and the number says the rest.
 *
 *   if (log_limit_passes(&limit, now_ms)) { log_event(EVENT_DECRYPT_REFUSED, …); }
 *   … at log_limit_next_ms: log_limit_tick → event=decrypt-refused suppressed=4990
 */
#ifndef BASE_LOG_LIMIT_H
#define BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/event.h"

#define LOG_LIMIT_LINES 10u
#define LOG_LIMIT_MS    10000

struct log_limit {
    enum event event; /* as in the lines themselves */
    int64_t from_ms;  /* CLOCK_MONOTONIC: when the period began; meaningless with n at 0 */
    uint64_t n;       /* lines in it, written or left out; 0: no period runs */
};

/* Whether the next line may be written; the event is counted if not. Ends a period that is over. */
bool log_limit_passes(struct log_limit *limit, int64_t now_ms);
/* Ends a period that is over, with a line when lines were left out. */
void log_limit_tick(struct log_limit *limit, int64_t now_ms);
/* CLOCK_MONOTONIC ms when there will be something to say though nothing more comes; INT64_MAX. */
int64_t log_limit_next_ms(const struct log_limit *limit);

#endif
