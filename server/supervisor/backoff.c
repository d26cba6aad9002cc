#include "server/supervisor/backoff.h"

static int64_t at_most(int64_t value, int64_t max)
{
    return value < max ? value : max;
}

int64_t backoff_after(struct backoff *backoff, int64_t lived_ms)
{
    if (lived_ms >= BACKOFF_HEALTHY_MS) {
        backoff->next_ms = 0;
    }
    int64_t wait_ms = backoff->next_ms;
    int64_t next_ms = wait_ms == 0 ? backoff->first_ms : 2 * wait_ms;
    backoff->next_ms = at_most(next_ms, backoff->max_ms);
    return wait_ms;
}
