/* backoff: how long to wait before a role is started again. Pure. */
#ifndef SERVER_SUPERVISOR_BACKOFF_H
#define SERVER_SUPERVISOR_BACKOFF_H

#include <stdint.h>

#define BACKOFF_HEALTHY_MS 10000 /* a role that lived this long starts anew without a debt */

struct backoff {
    int64_t first_ms;
    int64_t max_ms;
    int64_t next_ms; /* 0: start at once */
};

/* The wait after a role that lived this long; doubles from 0, first, 2 first, … to max. */
int64_t backoff_after(struct backoff *backoff, int64_t lived_ms);

#endif
