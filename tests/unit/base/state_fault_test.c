/* What the file system refuses: the old file stays whole, nothing is left behind, errno is told. */
#define _GNU_SOURCE
#include "base/state.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/kit/unit.h"

#define REALM "00112233445566778899aabbccddeeff"

/* The call that fails, how many of its calls pass before, and why it fails. */
static const char *faulty;
static int passing;
static int reason;

static bool faults(const char *call)
{
    if (faulty == NULL || strcmp(faulty, call) != 0 || passing-- > 0) {
        return false;
    }
    faulty = NULL;
    errno = reason;
    return true;
}

static void fail_at(const char *call, int after, int error)
{
    faulty = call;
    passing = after;
    reason = error;
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
    return faults("mkdir") ? -1 : __real_mkdir(path, mode);
}

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st)
{
    return faults("fstat") ? -1 : __real_fstat(fd, st);
}

int __real_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    return faults("openat") ? -1 : __real_openat(fd, path, flags, mode);
}

int __real_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags)
{
    return faults("unlinkat") ? -1 : __real_unlinkat(fd, path, flags);
}

int __real_renameat(int from, const char *old, int to, const char *fresh);
int __wrap_renameat(int from, const char *old, int to, const char *fresh);
int __wrap_renameat(int from, const char *old, int to, const char *fresh)
{
    return faults("renameat") ? -1 : __real_renameat(from, old, to, fresh);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return faults("fsync") ? -1 : __real_fsync(fd);
}

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __wrap_flock(int fd, int how)
{
    return faults("flock") ? -1 : __real_flock(fd, how);
}

int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len)
{
    return faults("ftruncate") ? -1 : __real_ftruncate(fd, len);
}

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    return faults("write") ? -1 : __real_write(fd, bytes, len);
}

ssize_t __real_pread(int fd, void *bytes, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t len, off_t at)
{
    return faults("pread") ? -1 : __real_pread(fd, bytes, len, at);
}

struct fixture {
    char path[64];
    struct state_dir dir;
    int fresh; /* the file to be stored: "new" */
};

static void store(struct fixture *f, const char *text)
{
    OWN_FD fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_ok(state_store(&f->dir, STATE_PIN, NULL, fd, strlen(text)));
}

static int set_up(void **state)
{
    static struct fixture fixture;
    (void)snprintf(fixture.path, sizeof(fixture.path), "/tmp/p11kms-state-XXXXXX");
    assert_non_null(mkdtemp(fixture.path));
    assert_ok(state_open(fixture.path, REALM, false, &fixture.dir));
    store(&fixture, "old");
    fixture.fresh = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fixture.fresh, "new", 3), 3);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"pin", "health", "lock", ".new"};
    faulty = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)unlinkat(f->dir.fd, names[i], 0);
    }
    (void)close(f->fresh);
    state_close(&f->dir);
    return rmdir(f->path);
}

static void assert_stored(struct fixture *f, const char *wanted)
{
    char text[8] = "";
    size_t len = 0;
    assert_ok(state_read(&f->dir, STATE_PIN, NULL, span_mut_of(text, sizeof(text) - 1), &len));
    assert_string_equal(text, wanted);
}

static void assert_errno(err_t err, int wanted)
{
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, wanted);
}

static void test_state_store_call_that_fails_keeps_the_old_file(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *call;
        int error;
    } cases[] = {{"flock", ENOLCK}, {"unlinkat", EROFS}, {"openat", ENOSPC},  {"write", ENOSPC},
                 {"fsync", EIO},    {"renameat", EIO}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fail_at(cases[i].call, 0, cases[i].error);
        assert_errno(state_store(&f->dir, STATE_PIN, NULL, f->fresh, 3), cases[i].error);
        assert_null(faulty);
        assert_stored(f, "old");
        assert_int_equal(faccessat(f->dir.fd, ".new", F_OK, 0), -1);
    }
    store(f, "next"); /* and the folder is not left locked */
    assert_stored(f, "next");
}

static void test_state_store_source_that_cannot_be_read_keeps_the_old_file(void **state)
{
    struct fixture *f = *state;
    OWN_FD blind = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_errno(state_store(&f->dir, STATE_PIN, NULL, blind, 3), EBADF);
    assert_stored(f, "old");
}

/* The new file is in place by then; what is not known is whether it would survive a power cut. */
static void test_state_store_folder_that_does_not_sync_is_told(void **state)
{
    struct fixture *f = *state;
    fail_at("fsync", 1, EIO);
    assert_errno(state_store(&f->dir, STATE_PIN, NULL, f->fresh, 3), EIO);
    assert_stored(f, "new");
}

static void test_state_store_interrupted_write_goes_on(void **state)
{
    struct fixture *f = *state;
    fail_at("write", 0, EINTR);
    assert_ok(state_store(&f->dir, STATE_PIN, NULL, f->fresh, 3));
    assert_null(faulty);
    assert_stored(f, "new");
}

/*
 * As under the shipped unit, where all but the folder itself is read-only: it is gone, and no disk
 * is at fault.
 */
static void test_state_open_folder_that_we_may_not_make_is_missing(void **state)
{
    (void)state;
    static const int each[] = {EROFS, EACCES, EPERM};
    struct state_dir dir;
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        fail_at("mkdir", 0, each[i]);
        assert_errno(state_open("/nonexistent", REALM, true, &dir), ENOENT);
    }
}

static void test_state_open_folder_that_cannot_be_made_or_examined_is_refused(void **state)
{
    struct fixture *f = *state;
    struct state_dir dir = {.fd = 77};
    assert_errno(state_open("/nonexistent/state", REALM, true, &dir), ENOENT);
    fail_at("fstat", 0, EIO);
    assert_errno(state_open(f->path, REALM, false, &dir), EIO);
    assert_int_equal(dir.fd, 77);
}

static void test_state_lock_call_that_fails_locks_nothing(void **state)
{
    struct fixture *f = *state;
    OWN_FD lock = -1;
    fail_at("openat", 0, EROFS);
    assert_errno(state_lock(&f->dir, &lock), EROFS);
    fail_at("flock", 0, ENOLCK);
    assert_errno(state_lock(&f->dir, &lock), ENOLCK);
    assert_int_equal(lock, -1);
    fail_at("ftruncate", 0, ENOSPC); /* the number in it is only for an error text */
    assert_ok(state_lock(&f->dir, &lock)); /* none of them holds it */
    fail_at("openat", 0, EACCES);
    OWN_FD pin = -1;
    assert_errno(state_open_pin_lock(&f->dir, &pin), EACCES);
    assert_int_equal(pin, -1);
}

static void test_state_read_what_is_no_file_or_fails_is_refused(void **state)
{
    struct fixture *f = *state;
    char room[8];
    size_t len = 99;
    struct span_mut whole = span_mut_of(room, sizeof(room));
    fail_at("pread", 0, EIO);
    assert_errno(state_read(&f->dir, STATE_PIN, NULL, whole, &len), EIO);
    fail_at("openat", 0, EACCES);
    assert_errno(state_read(&f->dir, STATE_PIN, NULL, whole, &len), EACCES);
    assert_fails(state_read(&f->dir, STATE_FILES, NULL, whole, &len), E_INVALID);
    assert_int_equal(mkfifoat(f->dir.fd, "health", 0600), 0);
    /* and it does not wait */
    assert_fails(state_read(&f->dir, STATE_HEALTH, NULL, whole, &len), E_INVALID);
    assert_int_equal(len, 99);
}

/* Records that were spoilt on the disk: too long a line, and what is no hex. */
static void test_state_parse_spoilt_records_are_invalid(void **state)
{
    (void)state;
    struct state_health health;
    struct state_current current;
    assert_fails(
        state_health_parse(span_of_text("p11-kms health 1\nstate=ABCDEFGHIJKLMNOPQ\nsince_s=0\n"
                                        "outage_s=0\nwritten_s=0\nkey_id=\nmend=\n"),
                           &health),
        E_INVALID);
    assert_fails(state_current_parse(
                     span_of_text("p11-kms current 1\nkek_id=0001020304050607ABCDEFGHIJKLMNOP\n"
                                  "not_before=1\ncreated=1\n"),
                     &current),
                 E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_state_store_call_that_fails_keeps_the_old_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_state_store_source_that_cannot_be_read_keeps_the_old_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state_store_folder_that_does_not_sync_is_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_store_interrupted_write_goes_on, set_up,
                                        tear_down),
        cmocka_unit_test(test_state_open_folder_that_we_may_not_make_is_missing),
        cmocka_unit_test_setup_teardown(
            test_state_open_folder_that_cannot_be_made_or_examined_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state_lock_call_that_fails_locks_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_read_what_is_no_file_or_fails_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test(test_state_parse_spoilt_records_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
