#include "server/front/token_link.h"

#include <fcntl.h>

#include "base/log.h"
#include "base/own.h"

static void unwatch(struct front *front)
{
    loop_poll_free(TAKE(front->token_poll));
    own_fd_close_p(&front->token_fd);
    front->token_fd = -1;
}

void token_link_check(struct front *front)
{
    if (service_token_fd(front->service) < 0) {
        unwatch(front);
    }
}

static void on_token(void *ctx, int events)
{
    struct front *front = ctx;
    (void)events;
    service_token_readable(front->service);
    token_link_check(front);
}

static err_t watch(struct front *front)
{
    TRY(loop_poll_new(front->loop, front->token_fd, on_token, front, &front->token_poll));
    loop_poll_want(front->token_poll, LOOP_READABLE);
    return OK;
}

void token_link_attach(struct front *front, int64_t token, int fd)
{
    unwatch(front);
    front->token = token;
    front->token_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    err_t copied = front->token_fd < 0 ? FAIL_ERRNO("cannot copy a descriptor") : OK;
    service_token_attach(front->service, fd);
    err_t err = failed(copied) ? copied : watch(front);
    if (failed(err)) {
        log_event(EVENT_TOKEN_NOT_WATCHED, LOG_ERR(err));
    }
}

void token_link_done(struct front *front)
{
    unwatch(front);
}
