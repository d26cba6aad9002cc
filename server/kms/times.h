/* times: one reading of the three clocks (base/clock.h), so that one event sees one time. */
#ifndef SERVER_KMS_TIMES_H
#define SERVER_KMS_TIMES_H

#include <stdint.h>

#include "base/clock.h"

struct times {
    int64_t real_s;
    int64_t boot_ms;
    int64_t mono_ms;
};

/*
 * The wall clock is never before the build, nor before floor_s (the newest activation known here).
 */
static inline struct times times_now(int64_t floor_s)
{
    struct times now = {clock_real_s(), clock_boot_ms(), clock_mono_ms()};
    int64_t build_s = clock_build_s();
    now.real_s = now.real_s < build_s ? build_s : now.real_s;
    now.real_s = now.real_s < floor_s ? floor_s : now.real_s;
    return now;
}

static inline int64_t times_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
