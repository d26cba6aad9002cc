#include "pkcs11/pin_lock.h"

#include <sys/file.h>

#include "base/clock.h"
#include "base/state.h"

#define SLICE_MS 100 /* an end need not wait for the lock */

err_t pin_lock_take(int fd, int64_t wait_ms, const atomic_bool *ending)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    err_t err = FAIL(E_DEADLINE, "the process is told to end");
    while (err.code == E_DEADLINE && clock_mono_ms() < until_ms && !atomic_load(ending)) {
        err = state_wait_lock(fd, SLICE_MS);
    }
    return err;
}

void pin_lock_release(int fd)
{
    (void)flock(fd, LOCK_UN);
}
