#define _GNU_SOURCE
#include "base/state.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"

#define LOCK_LOOK_MS 2
#define REALM_CHARS  32u

static bool is_realm(const char *text)
{
    size_t n = 0;
    while ((text[n] >= '0' && text[n] <= '9') || (text[n] >= 'a' && text[n] <= 'f')) {
        n++;
    }
    return n == REALM_CHARS && text[n] == '\0';
}

static err_t check_folder(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return FAIL_ERRNO("cannot examine the state directory");
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return FAIL(E_DENIED, "the state directory belongs to another user");
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return FAIL(E_DENIED, "the state directory is writable by group or others");
    }
    return OK;
}

/*
 * It is there, or it is not ours to make (read-only but for itself in the shipped unit): the open
 * tells.
 */
static bool is_not_to_make(int code)
{
    return code == EEXIST || code == EROFS || code == EACCES || code == EPERM;
}

err_t state_open(const char *path, const char *realm_hex, bool create, struct state_dir *ret_dir)
{
    if (!is_realm(realm_hex)) {
        return FAIL(E_BUG, "a realm is 32 lower-case hex characters");
    }
    if (strlen(path) >= sizeof(ret_dir->path)) {
        return FAIL(E_LIMIT, "the path of the state directory is longer than 255 bytes");
    }
    if (create && mkdir(path, S_IRWXU) != 0 && !is_not_to_make(errno)) {
        return FAIL_ERRNO("cannot make the state directory");
    }
    OWN_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return FAIL_ERRNO("cannot open the state directory (it may not be a link)");
    }
    TRY(check_folder(fd));
    ret_dir->fd = own_fd_take(&fd);
    span_move(ret_dir->realm, realm_hex, sizeof(ret_dir->realm));
    (void)snprintf(ret_dir->path, sizeof(ret_dir->path), "%s", path);
    return OK;
}

void state_close(struct state_dir *dir)
{
    own_fd_close_p(&dir->fd);
    dir->fd = -1;
}

/* Could not look is not gone: NFS that hangs, a folder above that was closed to us. */
static bool names(int at_fd, const char *path, int fd)
{
    struct stat there;
    struct stat ours;
    if (fstatat(at_fd, path, &there, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno != ENOENT && errno != ENOTDIR;
    }
    return fstat(fd, &ours) != 0 || (there.st_dev == ours.st_dev && there.st_ino == ours.st_ino);
}

bool state_in_place(const struct state_dir *dir)
{
    return names(AT_FDCWD, dir->path, dir->fd);
}

bool state_lock_in_place(const struct state_dir *dir, int lock_fd)
{
    return names(dir->fd, "lock", lock_fd);
}

bool state_pin_lock_in_place(const struct state_dir *dir, int fd)
{
    return names(dir->fd, "pin.lock", fd);
}

err_t state_lock(const struct state_dir *dir, int *ret_lock_fd)
{
    OWN_FD fd =
        openat(dir->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return FAIL_ERRNO("cannot write the lock file of the state directory");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? FAIL(E_STATE, "another p11-kmsd runs on this state directory")
                                    : FAIL_ERRNO("cannot lock the state directory");
    }
    /* Only for an error text: a disk that is full must not keep a daemon from its start. */
    (void)!(ftruncate(fd, 0) == 0 && dprintf(fd, "%d\n", (int)getpid()) > 0);
    *ret_lock_fd = own_fd_take(&fd);
    return OK;
}

int64_t state_lock_holder(const struct state_dir *dir)
{
    OWN_FD fd = openat(dir->fd, "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char text[16] = "";
    if (fd < 0 || pread(fd, text, sizeof(text) - 1, 0) <= 0) {
        return 0;
    }
    return strtol(text, NULL, 10);
}

err_t state_open_pin_lock(const struct state_dir *dir, int *ret_fd)
{
    int fd =
        openat(dir->fd, "pin.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return FAIL_ERRNO("cannot open pin.lock in the state directory");
    }
    *ret_fd = fd;
    return OK;
}

err_t state_read_fd(const struct state_dir *dir, enum state_file file, const char *part,
                    int *ret_fd)
{
    char name[STATE_NAME_MAX];
    TRY(state_file_name(dir, file, part, name));
    int fd = openat(dir->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) {
        return FAIL_ERRNO("cannot open a state file");
    }
    *ret_fd = fd;
    return OK;
}

err_t state_wait_lock(int fd, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return FAIL_ERRNO("cannot lock a file or folder of the state directory");
        }
        if (clock_mono_ms() >= until_ms) {
            return FAIL(E_DEADLINE, "a lock of the state directory is held");
        }
        (void)poll(NULL, 0, LOCK_LOOK_MS);
    }
    return OK;
}

err_t state_read(const struct state_dir *dir, enum state_file file, const char *part,
                 struct span_mut room, size_t *ret_len)
{
    OWN_FD fd = -1;
    TRY(state_read_fd(dir, file, part, &fd));
    if (fd < 0) {
        return FAIL(E_NOT_FOUND, "the state file does not exist");
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return FAIL(E_INVALID, "a state file is not a regular file");
    }
    if ((uint64_t)st.st_size > room.len) {
        return FAIL(E_LIMIT, "a state file is too long");
    }
    size_t len = 0;
    ssize_t n = 1;
    while (len < room.len && n > 0) {
        n = pread(fd, room.ptr + len, room.len - len, (off_t)len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        return FAIL_ERRNO("cannot read a state file");
    }
    *ret_len = len;
    return OK;
}
