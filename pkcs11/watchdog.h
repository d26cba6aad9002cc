/*
 * watchdog: calls into a module cannot be cancelled, so a call that takes too long ends the
 * process. Each thread says when it enters and leaves the module; one thread of ours watches them
 * all. A hold gives a whole stretch of calls (load, initialise, log in) one common limit.
 */
#ifndef PKCS11_WATCHDOG_H
#define PKCS11_WATCHDOG_H

#include <stdint.h>

#include "base/err.h"

#define WATCH_CALL_MS 10000

/* Starts the watching thread. Once. */
MUST_USE err_t watch_start(void);

/* Around each call into the module; `call` is a literal. Not nested. */
void watch_enter(const char *call);
void watch_leave(void);

/* From hold to release this thread's calls share this limit instead of their own. */
void watch_hold(const char *what, uint32_t limit_ms);
void watch_release(void);

/* Name of a call that is over its limit at this time (CLOCK_MONOTONIC ms), or NULL. */
const char *watch_overdue(int64_t now_ms);

#endif
