#include "server/supervisor/alive.h"

#include "server/supervisor/notify.h"

void alive_tick(struct supervisor *supervisor, int64_t now_ms)
{
    int64_t period_ms = notify_alive_period_ms();
    if (now_ms >= supervisor->alive_ms) {
        notify_alive();
        supervisor->alive_ms = period_ms == 0 ? NEVER_MS : now_ms + period_ms;
    }
}
