#include "server/kms/limits.h"

#include <stddef.h>

#include "base/log.h"

static const struct {
    const char *name;
    const char *text;
} known[] = {
    [LIMIT_CONNECTIONS] = {"connections",
                                   "all connections are taken, and the longest idle ones must go "
                                   "when another peer comes"},
    [LIMIT_CALLS] =
        {"calls", "more calls are in flight than their connections' shares, and some are "
                  "refused"},
    [LIMIT_WAITING] = {"waiting",
                               "more calls wait for the token than there is room for, and some are "
                               "refused"},
};

void limits_bite(struct limits *limits, enum limit limit, int64_t mono_ms)
{
    if (!limits->at[limit].bites) {
        log_event(EVENT_LIMIT_BITES, LOG_TEXT("limit", known[limit].name),
                  LOG_TEXT("text", known[limit].text));
        limits->at[limit].before = limits->at[limit].total;
    }
    limits->at[limit].bites = true;
    limits->at[limit].last_ms = mono_ms;
    limits->at[limit].total++;
}

void limits_tick(struct limits *limits, int64_t mono_ms)
{
    for (int i = 0; i < LIMITS; i++) {
        if (limits->at[i].bites && mono_ms - limits->at[i].last_ms >= LIMITS_CALM_MS) {
            limits->at[i].bites = false;
            log_event(EVENT_LIMIT_OVER, LOG_TEXT("limit", known[i].name),
                      LOG_NUM("times", limits->at[i].total - limits->at[i].before));
        }
    }
}

const char *limits_text(const struct limits *limits)
{
    for (int i = 0; i < LIMITS; i++) {
        if (limits->at[i].bites) {
            return known[i].text;
        }
    }
    return NULL;
}
