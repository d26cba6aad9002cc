#define _GNU_SOURCE
#include "pkcs11/pin_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"

#define LOOK_MS 2

/* FNV-1a. Two serials that share a byte wait for each other now and then, and no more. */
static off_t byte_of(const char *serial)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = serial; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    }
    return (off_t)(hash >> 2);
}

static int lock_byte(int fd, short type, off_t start, off_t len)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, F_OFD_SETLK, &range);
}

/* Both or none: who waits holds up nobody. E_DEADLINE: somebody has it. */
static err_t try_both(int fd, off_t byte)
{
    if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
        if (lock_byte(fd, F_WRLCK, byte, 1) == 0) {
            return OK;
        }
        int why = errno;
        (void)flock(fd, LOCK_UN);
        errno = why;
    }
    bool held = errno == EWOULDBLOCK || errno == EACCES || errno == EINTR;
    return held ? FAIL(E_DEADLINE, "pin.lock is held") : FAIL_ERRNO("cannot lock pin.lock");
}

err_t pin_lock_take(int fd, const char *serial, int64_t wait_ms, const atomic_bool *ending)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    off_t byte = byte_of(serial);
    err_t err = FAIL(E_DEADLINE, "the process is told to end");
    while (err.code == E_DEADLINE && clock_mono_ms() < until_ms && !atomic_load(ending)) {
        err = try_both(fd, byte);
        if (failed(err)) {
            (void)poll(NULL, 0, LOOK_MS);
        }
    }
    return err;
}

void pin_lock_release(int fd)
{
    (void)lock_byte(fd, F_UNLCK, 0, 0);
    (void)flock(fd, LOCK_UN);
}
