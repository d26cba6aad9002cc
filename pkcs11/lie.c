#include "pkcs11/lie.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

#define QUIET_MS 60000

err_t lie_told(_Atomic int64_t *quiet_until_ms, err_t err)
{
    char said[24]; /* unsigned: a field of the log is not */
    int64_t now_ms = clock_mono_ms();
    if (now_ms >= atomic_load(quiet_until_ms)) {
        atomic_store(quiet_until_ms, now_ms + QUIET_MS);
        (void)snprintf(said, sizeof(said), "%lu", err.detail);
        log_event(EVENT_TOKEN_MODULE_LIES, LOG_TEXT("call", err.what), LOG_TEXT("said", said));
    }
    return err;
}
