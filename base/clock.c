#include "base/clock.h"

#include <time.h>

#include "base/version.h"

static int64_t read_clock(clockid_t id, int64_t per_second)
{
    struct timespec t = {0};
    (void)clock_gettime(id, &t); /* cannot fail for these clocks */
    return (int64_t)t.tv_sec * per_second + (int64_t)t.tv_nsec / (1000000000 / per_second);
}

int64_t clock_real_s(void)
{
    return read_clock(CLOCK_REALTIME, 1);
}

int64_t clock_boot_ms(void)
{
    return read_clock(CLOCK_BOOTTIME, 1000);
}

int64_t clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

int64_t clock_build_s(void)
{
    return P11KMS_BUILD_DATE;
}
