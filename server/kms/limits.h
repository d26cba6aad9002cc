/*
 * limits: how often each bound that a peer can reach has bitten. The one place of these counters; a
 * bound that begins to bite is logged once, and once more when it has not for a minute.
 */
#ifndef SERVER_KMS_LIMITS_H
#define SERVER_KMS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#define LIMITS_CALM_MS 60000

/* What bounds there are; how large each is, its room knows. */
enum limit {
    LIMIT_CONNECTIONS, /* all are taken, and one more peer waits */
    LIMIT_CALLS,       /* a call was refused for want of one in flight */
    LIMIT_WAITING,     /* a call was refused for want of a place or of memory to wait in */
    LIMITS
};

struct limits {
    struct {
        uint64_t total;  /* since the start */
        uint64_t before; /* of them, before it began to bite this time */
        int64_t last_ms; /* CLOCK_MONOTONIC */
        bool bites;
    } at[LIMITS];
};

void limits_bite(struct limits *limits, enum limit limit, int64_t mono_ms);
void limits_tick(struct limits *limits, int64_t mono_ms);
/* What an operator should know of a bound that bites; NULL: none does. */
const char *limits_text(const struct limits *limits);

#endif
