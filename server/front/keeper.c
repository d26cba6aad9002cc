#include "server/front/keeper.h"

#include <stdio.h>

#include "base/log.h"

void keeper_tell(enum role_kind kind, int64_t value, const char *text)
{
    struct role_message message = {.kind = kind, .value = value};
    (void)snprintf(message.text, sizeof(message.text), "%s", text);
    err_t err = role_send(ROLE_FD_CONTROL, &message, -1);
    if (failed(err)) {
        log_event(EVENT_KEEPER_NOT_TOLD, LOG_NUM("kind", kind), LOG_ERR(err));
    }
}
