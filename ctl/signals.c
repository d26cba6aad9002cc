#define _GNU_SOURCE
#include "ctl/signals.h"

#include <poll.h>
#include <sys/signalfd.h>

#include "base/own.h"

err_t signals_hold(struct signals *ret_signals)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct signals signals;
    sigset_t held;
    (void)sigemptyset(&held);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)sigaddset(&held, numbers[i]);
    }
    OWN_FD fd = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0 || sigprocmask(SIG_BLOCK, &held, &signals.before) != 0) {
        return FAIL_ERRNO("cannot hold signals back");
    }
    signals.fd = own_fd_take(&fd);
    *ret_signals = signals;
    return OK;
}

bool signals_wait(const struct signals *signals)
{
    struct pollfd waits = {.fd = signals->fd, .events = POLLIN};
    return poll(&waits, 1, 0) > 0;
}

void signals_release(struct signals *signals)
{
    if (signals->fd >= 0) {
        own_fd_close_p(&signals->fd);
        signals->fd = -1;
        (void)sigprocmask(SIG_SETMASK, &signals->before, NULL);
    }
}
