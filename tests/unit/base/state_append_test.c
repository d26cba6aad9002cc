/*
 * state_append: what is added is whole and on the disk, or not there at all. One file of the
 * product is a log here, for none is one yet.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/state.h"
#include "base/state_table.h"
#include "tests/kit/unit.h"

#define REALM   "00112233445566778899aabbccddeeff"
#define LOG_MAX 20000u
#define LONGER  17000u /* than one piece of a copy */

static unsigned syncs;
static unsigned sync_fails_at; /* which of them fails, from 1; 0: none */
static unsigned writes;
static unsigned write_fails_at;

const struct state_row *__real_state_row(enum state_file file);
const struct state_row *__wrap_state_row(enum state_file file);
const struct state_row *__wrap_state_row(enum state_file file)
{
    static const struct state_row log = {.name = "log.", .per_realm = true, .append_max = LOG_MAX};
    return file == STATE_SEEDS ? &log : __real_state_row(file);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    errno = EIO;
    return ++syncs == sync_fails_at ? -1 : __real_fsync(fd);
}

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    errno = ENOSPC;
    return ++writes == write_fails_at ? -1 : __real_write(fd, bytes, len);
}

struct fixture {
    char path[64];
    struct state_dir dir;
    int bytes; /* of LONGER zeros */
};

static int set_up(void **state)
{
    static struct fixture f;
    (void)snprintf(f.path, sizeof(f.path), "/tmp/p11kms-append-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    assert_ok(state_open(f.path, REALM, false, &f.dir));
    f.bytes = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(ftruncate(f.bytes, LONGER), 0);
    syncs = sync_fails_at = writes = write_fails_at = 0;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)unlinkat(f->dir.fd, "log." REALM, 0);
    (void)unlinkat(f->dir.fd, "other", 0);
    (void)close(f->bytes);
    state_close(&f->dir);
    return rmdir(f->path);
}

static err_t append(struct fixture *f, const char *text)
{
    OWN_FD fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    return state_append(&f->dir, STATE_SEEDS, NULL, fd, strlen(text));
}

static off_t length(struct fixture *f)
{
    struct stat st;
    return fstatat(f->dir.fd, "log." REALM, &st, 0) == 0 ? st.st_size : -1;
}

static void test_state_append_adds_to_the_end_and_syncs(void **state)
{
    struct fixture *f = *state;
    char text[16] = "";
    size_t len = 0;
    struct stat st;
    assert_ok(append(f, "one."));
    assert_int_equal(syncs, 2); /* the file, and the folder that has a new name in it */
    assert_ok(append(f, "two."));
    assert_int_equal(syncs, 3);
    assert_ok(state_read(&f->dir, STATE_SEEDS, NULL, span_mut_of(text, sizeof(text)), &len));
    assert_string_equal(text, "one.two.");
    assert_int_equal(fstatat(f->dir.fd, "log." REALM, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_state_append_at_the_limit_and_one_past_it(void **state)
{
    struct fixture *f = *state;
    assert_ok(state_append(&f->dir, STATE_SEEDS, NULL, f->bytes, LONGER));
    err_t err = state_append(&f->dir, STATE_SEEDS, NULL, f->bytes, LOG_MAX - LONGER + 1);
    assert_true(err.code == E_SYSTEM && err.detail == EOVERFLOW);
    assert_int_equal(length(f), LONGER);
    assert_ok(state_append(&f->dir, STATE_SEEDS, NULL, f->bytes, LOG_MAX - LONGER));
    assert_int_equal(append(f, "x").detail, EOVERFLOW);
    assert_ok(append(f, ""));
    assert_int_equal(length(f), LOG_MAX);
}

static void test_state_append_what_leads_elsewhere_is_refused(void **state)
{
    struct fixture *f = *state;
    OWN_FD other = openat(f->dir.fd, "other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(symlinkat("other", f->dir.fd, "log." REALM), 0);
    assert_int_equal(append(f, "x").detail, ELOOP);
    assert_int_equal(unlinkat(f->dir.fd, "log." REALM, 0), 0);
    assert_int_equal(linkat(f->dir.fd, "other", f->dir.fd, "log." REALM, 0), 0);
    assert_fails(append(f, "x"), E_INVALID);
    assert_int_equal(unlinkat(f->dir.fd, "log." REALM, 0), 0);
    assert_int_equal(mkfifoat(f->dir.fd, "log." REALM, 0600), 0);
    assert_int_equal(append(f, "x").detail, ENXIO); /* and it is not waited for a reader */
    struct stat st;
    assert_int_equal(fstat(other, &st), 0);
    assert_int_equal(st.st_size, 0);
}

static void test_state_append_and_store_each_take_their_own_kind(void **state)
{
    struct fixture *f = *state;
    assert_fails(state_append(&f->dir, STATE_PIN, NULL, f->bytes, 1), E_DENIED);
    assert_fails(state_append(&f->dir, STATE_FILES, NULL, f->bytes, 1), E_INVALID);
    assert_ok(append(f, "kept"));
    assert_fails(state_store(&f->dir, STATE_SEEDS, NULL, f->bytes, 1), E_DENIED);
    assert_int_equal(length(f), 4);
}

static void test_state_append_failure_adds_nothing(void **state)
{
    struct fixture *f = *state;
    assert_ok(append(f, "line"));
    write_fails_at = writes + 2; /* half of it is written by then */
    assert_int_equal(state_append(&f->dir, STATE_SEEDS, NULL, f->bytes, LONGER).detail, ENOSPC);
    assert_int_equal(length(f), 4);
    sync_fails_at = syncs + 1;
    assert_int_equal(append(f, "more").detail, EIO);
    assert_int_equal(length(f), 4);
    /* shorter than was said */
    assert_fails(state_append(&f->dir, STATE_SEEDS, NULL, f->bytes, LONGER + 1), E_INVALID);
    assert_int_equal(length(f), 4);
}

/* The bytes are on the disk, but a power cut might take the file's name: it is tried again. */
static void
test_state_append_folder_that_does_not_sync_is_told_and_synced_the_next_time(void **state)
{
    struct fixture *f = *state;
    sync_fails_at = 2;
    assert_int_equal(append(f, "line").detail, EIO);
    assert_int_equal(length(f), 0);
    assert_ok(append(f, "line"));
    assert_int_equal(syncs, 4);
    assert_int_equal(length(f), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_state_append_adds_to_the_end_and_syncs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_append_at_the_limit_and_one_past_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_append_what_leads_elsewhere_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_append_and_store_each_take_their_own_kind,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state_append_failure_adds_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_state_append_folder_that_does_not_sync_is_told_and_synced_the_next_time, set_up,
            tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
