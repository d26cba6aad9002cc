/*
 * clock: the three times of this project, each for its own use.
 *   real  Unix seconds (CLOCK_REALTIME): only for not-before, created, born and remembered ages
 *   boot  milliseconds (CLOCK_BOOTTIME): ages of proofs and outages; runs on through suspend
 *   mono  milliseconds (CLOCK_MONOTONIC): deadlines and timers
 * keys/, server/rotation and server/health never call these: they get times as arguments.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_real_s(void);
int64_t clock_boot_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);

/* Unix seconds of the build (SOURCE_DATE_EPOCH honoured): no sane wall clock is before it. */
int64_t clock_build_s(void);

#endif
