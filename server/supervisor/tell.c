#include "server/supervisor/tell.h"

#include <stdio.h>

#include "base/log.h"

static void tell(const struct keeping *role, const struct role_message *message, int fd)
{
    if (role->control_fd < 0) {
        return;
    }
    err_t err = role_send(role->control_fd, message, fd);
    if (failed(err)) {
        log_event(EVENT_ROLE_NOT_TOLD, LOG_TEXT("role", role->row->program),
                  LOG_NUM("kind", message->kind), LOG_ERR(err));
    }
}

void tell_role(const struct keeping *role, enum role_kind kind, int fd)
{
    tell(role, &(struct role_message){.kind = kind}, fd);
}

void tell_role_text(const struct keeping *role, enum role_kind kind, const char *text)
{
    struct role_message message = {.kind = kind};
    (void)snprintf(message.text, sizeof(message.text), "%s", text);
    tell(role, &message, -1);
}
