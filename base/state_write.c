#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/state.h"
#include "base/state_table.h"

#define LOCK_WAIT_MS 2000
#define COPY_BYTES   16384u

static err_t write_all(int fd, const uint8_t *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(fd, bytes + done, len - done);
        if (n < 0 && errno != EINTR) {
            return FAIL_ERRNO("cannot write a state file");
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

static err_t copy_bytes(int to_fd, int from_fd, size_t size)
{
    uint8_t part[COPY_BYTES];
    for (size_t done = 0; done < size;) {
        size_t want = size - done < sizeof(part) ? size - done : sizeof(part);
        ssize_t n = pread(from_fd, part, want, (off_t)done);
        if (n < 0) {
            return FAIL_ERRNO("cannot read the new state file");
        }
        if (n == 0) {
            return FAIL(E_INVALID, "the new state file is shorter than was said");
        }
        TRY(write_all(to_fd, part, (size_t)n));
        done += (size_t)n;
    }
    return OK;
}

/* The bytes are on the disk before the name points at them. */
static err_t replace(const struct state_dir *dir, const char *name, int from_fd, size_t size)
{
    static const char fresh[] = ".new";
    if (unlinkat(dir->fd, fresh, 0) != 0 && errno != ENOENT) {
        return FAIL_ERRNO("cannot clear the state directory");
    }
    OWN_FD fd = openat(dir->fd, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return FAIL_ERRNO("cannot make a state file");
    }
    err_t err = copy_bytes(fd, from_fd, size);
    if (!failed(err) && (fsync(fd) != 0 || renameat(dir->fd, fresh, dir->fd, name) != 0)) {
        err = FAIL_ERRNO("cannot replace a state file");
    }
    if (failed(err)) {
        (void)unlinkat(dir->fd, fresh, 0);
        return err;
    }
    return fsync(dir->fd) == 0 ? OK : FAIL_ERRNO("cannot sync the state directory");
}

/* Another name elsewhere would let what is written here appear there. */
static err_t open_log(const struct state_dir *dir, const char *name, int *ret_fd, off_t *ret_len)
{
    struct stat st;
    OWN_FD fd =
        openat(dir->fd, name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
               S_IRUSR | S_IWUSR);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return FAIL_ERRNO("cannot open a state file (it may not be a link)");
    }
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
        return FAIL(E_INVALID, "a state file is not a regular file with one name");
    }
    *ret_fd = own_fd_take(&fd);
    *ret_len = st.st_size;
    return OK;
}

/* One that is empty may have been made just now, or by a try that failed. */
static err_t add_and_sync(const struct state_dir *dir, int fd, off_t len, int from_fd, size_t size)
{
    TRY(copy_bytes(fd, from_fd, size));
    if (fsync(fd) != 0 || (len == 0 && fsync(dir->fd) != 0)) {
        return FAIL_ERRNO("cannot sync a state file");
    }
    return OK;
}

static err_t append(const struct state_dir *dir, const char *name, size_t max, int from_fd,
                    size_t size)
{
    OWN_FD fd = -1;
    off_t len = 0;
    TRY(open_log(dir, name, &fd, &len));
    if (len > (off_t)max || size > max - (size_t)len) {
        return FAIL_DETAIL(E_SYSTEM, EOVERFLOW, "a state file is as long as it may get");
    }
    err_t err = add_and_sync(dir, fd, len, from_fd, size);
    if (failed(err)) { /* all of it or nothing: half a line would be taken for damage */
        (void)!ftruncate(fd, len);
    }
    return err;
}

/*
 * The daemon and p11-kmsctl may write at once: the folder's own lock makes them take turns. The
 * keeper of all processes must not wait for one that was stopped.
 */
static err_t lock_folder(int fd)
{
    err_t err = state_wait_lock(fd, LOCK_WAIT_MS);
    return err.code == E_DEADLINE
               ? FAIL_DETAIL(
                     E_SYSTEM, EWOULDBLOCK,
                     "another process keeps the state directory locked (a stopped p11-kmsctl?)")
               : err;
}

static err_t write_locked(const struct state_dir *dir, enum state_file file, const char *part,
                          int from_fd, size_t size)
{
    const struct state_row *row = state_row(file);
    char name[STATE_NAME_MAX];
    TRY(state_file_name(dir, file, part, name));
    TRY(lock_folder(dir->fd));
    err_t err = row->append_max == 0 ? replace(dir, name, from_fd, size)
                                     : append(dir, name, row->append_max, from_fd, size);
    (void)flock(dir->fd, LOCK_UN);
    return err;
}

err_t state_store(const struct state_dir *dir, enum state_file file, const char *part, int from_fd,
                  size_t size)
{
    const struct state_row *row = state_row(file);
    if (row != NULL && row->append_max > 0) {
        return FAIL(E_DENIED, "a log is not replaced");
    }
    if (size > STATE_SIZE_MAX) {
        return FAIL(E_LIMIT, "a state file is larger than 4 MiB");
    }
    return write_locked(dir, file, part, from_fd, size);
}

err_t state_append(const struct state_dir *dir, enum state_file file, const char *part, int from_fd,
                   size_t size)
{
    const struct state_row *row = state_row(file);
    if (row != NULL && row->append_max == 0) {
        return FAIL(E_DENIED, "a state file that is no log is not appended to");
    }
    return write_locked(dir, file, part, from_fd, size);
}
