#include "server/supervisor/pulse.h"

enum pulse_verdict pulse_look(struct pulse *pulse, int64_t now_ms)
{
    if (now_ms < pulse->next_ms) {
        return PULSE_WAIT;
    }
    pulse->next_ms = now_ms + PULSE_LOOK_MS;
    pulse->in_vain += pulse->asked ? 1 : 0;
    if (pulse->in_vain >= (pulse->answered ? PULSE_LOOKS : PULSE_LOOKS_FIRST)) {
        pulse->in_vain = 0;
        return PULSE_HUNG;
    }
    pulse->asked = true; /* again, too: a full queue may have lost the question, or the answer */
    return PULSE_ASK;
}

void pulse_answered(struct pulse *pulse)
{
    pulse->answered = true;
    pulse->asked = false;
    pulse->in_vain = 0;
}

void pulse_heard(struct pulse *pulse)
{
    pulse->in_vain = 0;
}
