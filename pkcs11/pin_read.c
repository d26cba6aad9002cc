#define _GNU_SOURCE
#include "pkcs11/pin_read.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "pkcs11/pin_content.h"

#define PIN_MAX 255u

/*
 * systemd owns its credentials itself and lets the unit's user in by an access control list; the
 * group's bits are then the mask of that list, and who may reach the file is a matter of its
 * folder.
 */
static mode_t too_open(const struct stat *st, bool credential)
{
    bool listed = credential && st->st_uid == 0;
    return st->st_mode & (listed ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO);
}

static err_t check_file(int fd, bool credential, struct pin_source *ret_source)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return FAIL_ERRNO("fstat of the PIN file");
    }
    if (!S_ISREG(st.st_mode)) {
        return FAIL(E_INVALID, "the PIN file is not a regular file");
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        return FAIL(E_INVALID, "the PIN file is owned neither by root nor by the daemon's user");
    }
    if (too_open(&st, credential) != 0) {
        return FAIL(E_INVALID, "the PIN file is open to group or others: chmod 0600 or 0400 (a "
                               "Kubernetes Secret: defaultMode: 0400)");
    }
    /* Not the device, whose number a reboot may change, nor the size, which is the PIN's length. */
    *ret_source = (struct pin_source){.known = st.st_ino <= INT64_MAX && st.st_ctim.tv_sec >= 0,
                                      .inode = (int64_t)st.st_ino,
                                      .changed_s = st.st_ctim.tv_sec,
                                      .changed_ns = st.st_ctim.tv_nsec};
    return OK;
}

static err_t read_all(int fd, struct span_mut room, size_t *ret_len)
{
    size_t len = 0;
    while (len < room.len) {
        ssize_t n = read(fd, room.ptr + len, room.len - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return FAIL_ERRNO("read of the PIN file");
        }
        if (n == 0) {
            *ret_len = len;
            return OK;
        }
        len += (size_t)n;
    }
    return FAIL(E_INVALID, "the PIN file is too long");
}

static err_t read_text(int fd, struct secret *pin)
{
    struct span_mut room = secret_room(pin);
    size_t len = 0;
    TRY(read_all(fd, span_mut_of(room.ptr, PIN_MAX + 2), &len));
    if (len > 0 && room.ptr[len - 1] == '\n') {
        len--;
    }
    if (len == 0 || len > PIN_MAX) {
        return FAIL(E_INVALID, "the PIN file is empty or too long");
    }
    secret_set_len(pin, len);
    return pin_content_check(secret_view(pin));
}

err_t pin_read(const char *path, bool credential, struct secret **ret_pin,
               struct pin_source *ret_source)
{
    /* Not blocking: a FIFO in its place must not hold us. */
    OWN_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP) {
        return FAIL(E_INVALID,
                    "the PIN file is a symbolic link: name the file itself (a Kubernetes "
                    "Secret: mount it with subPath: and defaultMode: 0400)");
    }
    if (fd < 0) {
        return FAIL_ERRNO("the PIN file cannot be opened");
    }
    struct pin_source source;
    TRY(check_file(fd, credential, &source));
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    TRY(secret_new(SECRET_PIN, PIN_MAX + 2, &pin));
    TRY(read_text(fd, pin));
    *ret_source = source;
    *ret_pin = TAKE(pin);
    return OK;
}
