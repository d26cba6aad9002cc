#include "server/supervisor/pulse.h"

enum pulse_verdict pulse_look(struct pulse *pulse, int64_t now_ms)
{
    if (now_ms < pulse->next_ms) {
        return PULSE_WAIT;
    }
    pulse->next_ms = now_ms + PULSE_LOOK_MS;
    if (!pulse->asked) {
        pulse->asked = true;
        return PULSE_ASK;
    }
    pulse->in_vain++;
    if (pulse->in_vain < (pulse->answered ? PULSE_LOOKS : PULSE_LOOKS_FIRST)) {
        return PULSE_WAIT;
    }
    pulse->in_vain = 0;
    return PULSE_HUNG;
}

void pulse_answered(struct pulse *pulse)
{
    pulse->answered = true;
    pulse->asked = false;
    pulse->in_vain = 0;
}
