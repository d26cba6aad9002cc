#include "server/supervisor/watch.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "server/supervisor/tell.h"

/* Once, until it is another thing or all is well again. */
static void say(struct watch *watch, const char *problem)
{
    if (strcmp(watch->said, problem) != 0) {
        log_event(EVENT_SOCKET_LOST, LOG_TEXT("problem", problem));
        (void)snprintf(watch->said, sizeof(watch->said), "%s", problem);
    }
}

static err_t mend(const struct config_listen *config, struct listener *listener,
                  struct problem *problem)
{
    if (listener->passed) {
        return problem_set(problem, EXIT_CONFIG,
                           "%s was removed or replaced, and new clients do not come here: "
                           "systemctl restart p11-kms.socket p11-kms.service",
                           config->socket);
    }
    return listener_bind_again(config, listener, problem);
}

static void look(struct supervisor *supervisor)
{
    const struct config_listen *config = &supervisor->config.listen;
    struct listener *listener = &supervisor->listener;
    struct problem problem = {.text = ""};
    if (listener_is_there(config, listener)) {
        supervisor->watch.said[0] = '\0';
        return;
    }
    if (failed(mend(config, listener, &problem))) {
        say(&supervisor->watch, problem.text);
        return;
    }
    log_event(EVENT_SOCKET_BOUND_AGAIN, LOG_TEXT("socket", config->socket),
              LOG_TEXT("why", "its file was removed or replaced"));
    tell_role(supervisor_front(supervisor), ROLE_SERVICE_SOCKET, listener->fd);
}

void watch_tick(struct supervisor *supervisor, int64_t now_ms)
{
    struct watch *watch = &supervisor->watch;
    if (supervisor->phase != PHASE_SERVING) {
        watch->at_ms = NEVER_MS;
    } else if (now_ms >= watch->at_ms) {
        look(supervisor);
        watch->at_ms = now_ms + WATCH_MS;
    }
}
