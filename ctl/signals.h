/* signals: what would end us waits while an end would leave something in doubt. */
#ifndef CTL_SIGNALS_H
#define CTL_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"

struct signals {
    int fd; /* readable when one waits; -1: none are held */
    sigset_t before;
};

/* Holds SIGINT, SIGTERM and SIGHUP back. */
MUST_USE err_t signals_hold(struct signals *ret_signals);
/* One waits. */
bool signals_wait(const struct signals *signals);
/* One that waits has its effect now. */
void signals_release(struct signals *signals);

#endif
