#define _GNU_SOURCE
#include "base/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/kit/unit.h"

#define REALM "00112233445566778899aabbccddeeff"

struct fixture {
    char path[64];
    struct state_dir dir;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    (void)snprintf(fixture.path, sizeof(fixture.path), "/tmp/p11kms-state-XXXXXX");
    assert_non_null(mkdtemp(fixture.path));
    assert_ok(state_open(fixture.path, REALM, false, &fixture.dir));
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"current." REALM, "seeds." REALM, "health", "pin",
                                        "lock",           "pin.lock",     ".new"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)unlinkat(f->dir.fd, names[i], 0);
    }
    state_close(&f->dir);
    return rmdir(f->path);
}

static int memory(const void *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    return fd;
}

static void test_state_open_realm_of_other_shape_is_a_bug(void **state)
{
    struct fixture *f = *state;
    struct state_dir dir;
    assert_fails(state_open(f->path, REALM "0", false, &dir), E_BUG);
    assert_fails(state_open(f->path, "0011", false, &dir), E_BUG);
    assert_fails(state_open(f->path, "00112233445566778899AABBCCDDEEFF", false, &dir), E_BUG);
}

static void test_state_open_writable_by_others_is_denied(void **state)
{
    struct fixture *f = *state;
    struct state_dir dir;
    assert_int_equal(chmod(f->path, 0720), 0);
    assert_fails(state_open(f->path, REALM, false, &dir), E_DENIED);
    assert_int_equal(chmod(f->path, 0702), 0);
    assert_fails(state_open(f->path, REALM, false, &dir), E_DENIED);
    assert_int_equal(chmod(f->path, 0755), 0);
    assert_ok(state_open(f->path, REALM, false, &dir));
    state_close(&dir);
    assert_int_equal(dir.fd, -1);
}

static void test_state_open_of_another_user_is_denied(void **state)
{
    struct fixture *f = *state;
    struct state_dir dir;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chown(f->path, 65534, 65534), 0);
    assert_fails(state_open(f->path, REALM, false, &dir), E_DENIED);
    assert_int_equal(chown(f->path, 0, 0), 0);
}

static void test_state_open_link_and_missing_folder_are_refused(void **state)
{
    struct fixture *f = *state;
    struct state_dir dir;
    char link[80];
    (void)snprintf(link, sizeof(link), "%s-link", f->path);
    assert_int_equal(symlink(f->path, link), 0);
    assert_fails(state_open(link, REALM, false, &dir), E_SYSTEM);
    assert_fails(state_open(link, REALM, true, &dir), E_SYSTEM);
    assert_int_equal(unlink(link), 0);
    assert_fails(state_open(link, REALM, false, &dir), E_SYSTEM);
}

static void test_state_open_create_makes_it_private(void **state)
{
    struct fixture *f = *state;
    struct state_dir dir;
    struct stat st;
    char path[80];
    (void)snprintf(path, sizeof(path), "%s-new", f->path);
    assert_ok(state_open(path, REALM, true, &dir));
    assert_int_equal(fstat(dir.fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    state_close(&dir);
    assert_int_equal(rmdir(path), 0);
}

static void test_state_lock_second_holder_is_refused_and_told_the_first(void **state)
{
    struct fixture *f = *state;
    OWN_FD first = -1;
    OWN_FD second = -1;
    assert_int_equal(state_lock_holder(&f->dir), 0);
    assert_ok(state_lock(&f->dir, &first));
    assert_fails(state_lock(&f->dir, &second), E_STATE);
    assert_int_equal(second, -1);
    assert_int_equal(state_lock_holder(&f->dir), getpid());
    (void)close(own_fd_take(&first));
    assert_ok(state_lock(&f->dir, &second));
    OWN_FD pin = -1;
    assert_ok(state_open_pin_lock(&f->dir, &pin));
    assert_int_equal(fcntl(pin, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void test_state_store_replaces_whole_files_privately(void **state)
{
    struct fixture *f = *state;
    uint8_t room[16] = {0};
    size_t len = 99;
    struct stat st;
    assert_fails(state_read(&f->dir, STATE_PIN, NULL, span_mut_of(room, sizeof(room)), &len),
                 E_NOT_FOUND);
    assert_int_equal(len, 99);
    OWN_FD long_one = memory("0123456789abcdef", 16);
    OWN_FD short_one = memory("xyz", 3);
    assert_ok(state_store(&f->dir, STATE_PIN, NULL, long_one, 16));
    OWN_FD before = -1;
    assert_ok(state_read_fd(&f->dir, STATE_PIN, NULL, &before));
    assert_ok(state_store(&f->dir, STATE_PIN, NULL, short_one, 3));
    assert_ok(state_read(&f->dir, STATE_PIN, NULL, span_mut_of(room, 3), &len));
    assert_int_equal(len, 3);
    assert_memory_equal(room, "xyz", 3);
    /* the old file lives on for who has it open */
    assert_int_equal(pread(before, room, 16, 0), 16);
    assert_memory_equal(room, "0123456789abcdef", 16);
    assert_int_equal(fstatat(f->dir.fd, "pin", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(faccessat(f->dir.fd, ".new", F_OK, 0), -1);
}

static void test_state_store_failure_keeps_the_old_file(void **state)
{
    struct fixture *f = *state;
    uint8_t room[16];
    size_t len = 0;
    OWN_FD fd = memory("abc", 3);
    assert_ok(state_store(&f->dir, STATE_SEEDS, NULL, fd, 3));
    assert_fails(state_store(&f->dir, STATE_SEEDS, NULL, fd, 4), E_INVALID);
    assert_fails(state_store(&f->dir, STATE_SEEDS, NULL, fd, STATE_SIZE_MAX + 1), E_LIMIT);
    assert_fails(state_store(&f->dir, STATE_FILES, NULL, fd, 3), E_INVALID);
    assert_ok(state_read(&f->dir, STATE_SEEDS, NULL, span_mut_of(room, sizeof(room)), &len));
    assert_int_equal(len, 3);
    assert_fails(state_read(&f->dir, STATE_SEEDS, NULL, span_mut_of(room, 2), &len), E_LIMIT);
    assert_int_equal(faccessat(f->dir.fd, "seeds." REALM, F_OK, 0), 0);
    assert_int_equal(faccessat(f->dir.fd, ".new", F_OK, 0), -1);
}

static void test_state_store_largest_file_and_leftover_are_fine(void **state)
{
    struct fixture *f = *state;
    OWN_FD fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, STATE_SIZE_MAX), 0);
    OWN_FD leftover = openat(f->dir.fd, ".new", O_WRONLY | O_CREAT, 0600);
    assert_true(leftover >= 0);
    assert_ok(state_store(&f->dir, STATE_HEALTH, NULL, fd, STATE_SIZE_MAX));
    assert_ok(state_store(&f->dir, STATE_HEALTH, NULL, fd, 0));
}

/* As behind a p11-kmsctl that was stopped while it stored. */
static void test_state_store_locked_folder_is_given_up(void **state)
{
    struct fixture *f = *state;
    OWN_FD fresh = memory("new", 3);
    OWN_FD holder = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(holder, LOCK_EX), 0);
    (void)alarm(60); /* waiting for ever fails the test */
    err_t err = state_store(&f->dir, STATE_PIN, NULL, fresh, 3);
    (void)alarm(0);
    assert_true(err.code == E_SYSTEM && err.detail == EWOULDBLOCK);
    assert_int_equal(flock(holder, LOCK_UN), 0);
    assert_ok(state_store(&f->dir, STATE_PIN, NULL, fresh, 3));
}

static void test_state_read_link_is_refused(void **state)
{
    struct fixture *f = *state;
    OWN_FD fd = -1;
    assert_int_equal(symlinkat("/etc/passwd", f->dir.fd, "health"), 0);
    assert_fails(state_read_fd(&f->dir, STATE_HEALTH, NULL, &fd), E_SYSTEM);
}

/* ---- records ---- */

static void test_state_current_round_trips_and_nothing_else_parses(void **state)
{
    (void)state;
    const struct state_current record = {
        .kek_id = {0xab, 1, 2}, .not_before = UINT32_MAX, .created = 7};
    struct state_current back;
    uint8_t room[256];
    size_t len = 0;
    assert_ok(state_current_write(&record, span_mut_of(room, sizeof(room)), &len));
    assert_ok(state_current_parse(span_of(room, len), &back));
    assert_memory_equal(&back, &record, sizeof(record));
    for (size_t cut = 0; cut < len; cut++) {
        assert_fails(state_current_parse(span_of(room, cut), &back), E_INVALID);
    }
    room[len] = '\n';
    assert_fails(state_current_parse(span_of(room, len + 1), &back), E_INVALID);
    assert_ok(state_current_write(&record, span_mut_of(room, len), &len));
    assert_fails(state_current_write(&record, span_mut_of(room, len - 1), &len), E_LIMIT);
}

static void test_state_current_number_past_its_range_is_refused(void **state)
{
    (void)state;
    struct state_current back;
    static const char head[] =
        "p11-kms current 1\nkek_id=000102030405060708090a0b0c0d0e0f\nnot_before=";
    static const char *const bad[] = {"4294967296", "-1", "", "1x", "99999999999999999999"};
    char text[256];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s%s\ncreated=1\n", head, bad[i]);
        assert_fails(state_current_parse(span_of_text(text), &back), E_INVALID);
    }
}

static void test_state_health_round_trips_and_a_line_stays_one(void **state)
{
    (void)state;
    struct state_health record = {.state = "COAST",
                                  .since_s = 5,
                                  .outage_s = INT64_MAX,
                                  .written_s = 0,
                                  .key_id = "p11-kms/1/00/00",
                                  .mend = "raise\nthe limit"};
    struct state_health back;
    uint8_t room[1024];
    size_t len = 0;
    assert_ok(state_health_write(&record, span_mut_of(room, sizeof(room)), &len));
    assert_ok(state_health_parse(span_of(room, len), &back));
    assert_string_equal(back.mend, "raise the limit");
    assert_string_equal(back.state, "COAST");
    assert_true(back.outage_s == INT64_MAX);
    for (size_t cut = 0; cut < len; cut++) {
        assert_fails(state_health_parse(span_of(room, cut), &back), E_INVALID);
    }
}

/* Another folder at the path of the fixture's; the old one lies at "PATH.old". */
static void swap_folder(struct fixture *f, char old[80])
{
    (void)snprintf(old, 80, "%s.old", f->path);
    assert_int_equal(rename(f->path, old), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
}

static void test_state_in_place_tells_a_folder_that_is_gone_or_another(void **state)
{
    struct fixture *f = *state;
    char old[80];
    assert_true(state_in_place(&f->dir));
    swap_folder(f, old);
    assert_false(state_in_place(&f->dir));
    assert_int_equal(rmdir(f->path), 0);
    assert_false(state_in_place(&f->dir));
    assert_int_equal(symlink(old, f->path), 0); /* a link was not opened, and is not followed now */
    assert_false(state_in_place(&f->dir));
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(rename(old, f->path), 0);
    assert_true(state_in_place(&f->dir));
}

static void test_state_lock_in_place_tells_a_lock_that_is_gone_or_another(void **state)
{
    struct fixture *f = *state;
    OWN_FD lock = -1;
    OWN_FD other = -1;
    OWN_FD pin = -1;
    assert_ok(state_lock(&f->dir, &lock));
    assert_ok(state_open_pin_lock(&f->dir, &pin));
    assert_true(state_lock_in_place(&f->dir, lock) && state_pin_lock_in_place(&f->dir, pin));
    assert_int_equal(unlinkat(f->dir.fd, "lock", 0), 0);
    assert_int_equal(unlinkat(f->dir.fd, "pin.lock", 0), 0);
    assert_false(state_lock_in_place(&f->dir, lock) || state_pin_lock_in_place(&f->dir, pin));
    assert_ok(state_lock(&f->dir, &other));
    assert_false(state_lock_in_place(&f->dir, lock));
    assert_true(state_lock_in_place(&f->dir, other));
}

static void assert_explained(const char *name, err_t err, const char *wanted)
{
    char text[256];
    state_explain("/var/lib/x", name, err, text, sizeof(text));
    assert_string_equal(text, wanted);
}

static void test_state_explain_names_folder_file_reason_and_mend(void **state)
{
    (void)state;
    assert_explained("pin", FAIL_DETAIL(E_SYSTEM, ENOSPC, "cannot write a state file"),
                     "/var/lib/x/pin: cannot write a state file: No space left on device: make "
                     "room on its file system");
    assert_explained("", FAIL_DETAIL(E_SYSTEM, ENOENT, "cannot open"),
                     "/var/lib/x: cannot open: No such file or directory: make it again (systemctl "
                     "restart p11-kms, or "
                     "systemd-tmpfiles --create p11-kms.conf)");
    assert_explained("lock", FAIL_DETAIL(E_SYSTEM, EROFS, "cannot write"),
                     "/var/lib/x/lock: cannot write: Read-only file system: make its file system "
                     "writable (in the "
                     "unit: ReadWritePaths=), or if it was made anew, systemctl restart p11-kms");
    assert_explained("", FAIL(E_DENIED, "it is another user's"),
                     "/var/lib/x: it is another user's: it must belong to the user of the daemon, "
                     "with mode 0700");
    assert_explained("health", FAIL(E_INVALID, "odd"), "/var/lib/x/health: odd");
    static const int each[] = {EDQUOT,  EFBIG, EROFS, EACCES,     EPERM,
                               ENOTDIR, EIO,   EBUSY, EWOULDBLOCK};
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        char text[256];
        char bare[256];
        (void)snprintf(bare, sizeof(bare), "/f/pin: w: %s", strerror(each[i]));
        state_explain("/f", "pin", FAIL_DETAIL(E_SYSTEM, each[i], "w"), text, sizeof(text));
        assert_int_equal(strncmp(text, bare, strlen(bare)), 0);
        assert_true(strlen(text) > strlen(bare)); /* there is a mend */
    }
}

static void test_state_open_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char path[STATE_PATH_MAX + 1];
    struct state_dir dir;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[STATE_PATH_MAX] = '\0';
    assert_fails(state_open(path, REALM, false, &dir), E_LIMIT);
    path[STATE_PATH_MAX - 1] = '\0';
    assert_fails(state_open(path, REALM, false, &dir), E_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_state_in_place_tells_a_folder_that_is_gone_or_another,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_state_lock_in_place_tells_a_lock_that_is_gone_or_another, set_up, tear_down),
        cmocka_unit_test(test_state_explain_names_folder_file_reason_and_mend),
        cmocka_unit_test(test_state_open_path_that_is_too_long_is_refused),
        cmocka_unit_test_setup_teardown(test_state_open_realm_of_other_shape_is_a_bug, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_open_writable_by_others_is_denied, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_open_of_another_user_is_denied, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_open_link_and_missing_folder_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_open_create_makes_it_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state_lock_second_holder_is_refused_and_told_the_first,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state_store_replaces_whole_files_privately, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_store_failure_keeps_the_old_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_store_largest_file_and_leftover_are_fine, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_store_locked_folder_is_given_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_state_read_link_is_refused, set_up, tear_down),
        cmocka_unit_test(test_state_current_round_trips_and_nothing_else_parses),
        cmocka_unit_test(test_state_current_number_past_its_range_is_refused),
        cmocka_unit_test(test_state_health_round_trips_and_a_line_stays_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
