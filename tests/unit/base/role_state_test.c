/*
 * State files over the control socket, in the forms that wait, and what goes wrong on both sides.
 */
#define _GNU_SOURCE
#include "base/role.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/kit/unit.h"

static int memory_error; /* errno of the next memfd_create */
static int fill_error;   /* errno of the next pwrite */
static int seal_error;   /* errno of the next F_ADD_SEALS */

static bool faults(int *error)
{
    if (*error == 0) {
        return false;
    }
    errno = *error;
    *error = 0;
    return true;
}

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags)
{
    return faults(&memory_error) ? -1 : __real_memfd_create(name, flags);
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return faults(&fill_error) ? -1 : __real_pwrite(fd, bytes, len, at);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    return command == F_ADD_SEALS && faults(&seal_error) ? -1 : __real_fcntl(fd, command, argument);
}

struct fixture {
    int role;
    int keeper;
    char path[64];
    struct state_dir dir;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    fixture.role = ends[0];
    fixture.keeper = ends[1];
    (void)snprintf(fixture.path, sizeof(fixture.path), "/tmp/p11kms-role-XXXXXX");
    assert_non_null(mkdtemp(fixture.path));
    assert_ok(state_open(fixture.path, "00112233445566778899aabbccddeeff", false, &fixture.dir));
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)close(f->role);
    (void)close(f->keeper);
    (void)unlinkat(f->dir.fd, "pin", 0);
    (void)unlinkat(f->dir.fd, "health", 0);
    state_close(&f->dir);
    return rmdir(f->path);
}

/* The keeper's answer, sent ahead of the question: the socket keeps it until it is read. */
static void answer(struct fixture *f, enum role_kind kind, enum state_file file, int64_t value,
                   int fd)
{
    const struct role_message message = {.kind = kind, .file = file, .value = value};
    assert_ok(role_send(f->keeper, &message, fd));
}

static int memory(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

static void test_role_put_state_wait_passes_other_messages_over(void **state)
{
    struct fixture *f = *state;
    answer(f, ROLE_DRAIN, STATE_PIN, 0, -1);
    answer(f, ROLE_STATE_STORED, STATE_HEALTH, EIO, -1);
    answer(f, ROLE_STATE_STORED, STATE_PIN, 0, -1);
    assert_ok(role_put_state_wait(f->role, STATE_PIN, NULL, span_of_text("record")));
    struct role_message asked;
    OWN_FD fd = -1;
    char text[16] = "";
    assert_ok(role_receive(f->keeper, false, &asked, &fd));
    assert_int_equal(asked.kind, ROLE_STATE_PUT);
    assert_int_equal(asked.value, 6);
    assert_int_equal(pread(fd, text, sizeof(text), 0), 6);
    assert_string_equal(text, "record");
}

static void test_role_put_state_wait_refusal_carries_its_errno(void **state)
{
    struct fixture *f = *state;
    answer(f, ROLE_STATE_STORED, STATE_PIN, ENOSPC, -1);
    err_t err = role_put_state_wait(f->role, STATE_PIN, NULL, span_of_text("record"));
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, ENOSPC);
}

static void test_role_wait_ends_when_the_keeper_goes(void **state)
{
    struct fixture *f = *state;
    char room[4];
    size_t len = 0;
    answer(f, ROLE_DRAIN, STATE_PIN, 0, -1);
    assert_int_equal(shutdown(f->keeper, SHUT_WR), 0);
    for (int i = 0; i < 2; i++) {
        err_t err = role_put_state_wait(f->role, STATE_PIN, NULL, span_of_text("x"));
        assert_true(err.code == E_SYSTEM && err.detail == EPIPE);
        /* Never "no such file": a PIN guard would take that for a first start. */
        err = role_get_state_wait(f->role, STATE_PIN, NULL, span_mut_of(room, sizeof(room)), &len);
        assert_true(err.code == E_SYSTEM && err.detail == EPIPE);
        (void)close(f->keeper);
        f->keeper = -1;
    }
}

static void test_role_get_state_wait_reads_up_to_the_whole_room(void **state)
{
    struct fixture *f = *state;
    char room[6];
    size_t len = 99;
    OWN_FD fd = memory("record");
    answer(f, ROLE_STATE_DATA, STATE_HEALTH, 0, -1); /* about another file */
    answer(f, ROLE_STATE_DATA, STATE_PIN, 6, fd);
    assert_ok(role_get_state_wait(f->role, STATE_PIN, NULL, span_mut_of(room, sizeof(room)), &len));
    assert_int_equal(len, 6);
    assert_memory_equal(room, "record", 6);
    answer(f, ROLE_STATE_DATA, STATE_PIN, 0, fd);
    assert_ok(role_get_state_wait(f->role, STATE_PIN, NULL, span_mut_of(room, 0), &len));
    assert_int_equal(len, 0);
}

static void test_role_get_state_wait_bad_answers_are_refused(void **state)
{
    struct fixture *f = *state;
    char room[6];
    size_t len = 99;
    struct span_mut whole = span_mut_of(room, sizeof(room));
    OWN_FD fd = memory("abc");
    answer(f, ROLE_STATE_DATA, STATE_PIN, -EACCES, -1);
    err_t err = role_get_state_wait(f->role, STATE_PIN, NULL, whole, &len);
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, EACCES);
    answer(f, ROLE_STATE_DATA, STATE_PIN, 7, fd);
    assert_fails(role_get_state_wait(f->role, STATE_PIN, NULL, whole, &len), E_LIMIT);
    answer(f, ROLE_STATE_DATA, STATE_PIN, 0, -1);
    assert_fails(role_get_state_wait(f->role, STATE_PIN, NULL, whole, &len), E_NOT_FOUND);
    answer(f, ROLE_STATE_DATA, STATE_PIN, 4, fd);
    assert_fails(role_get_state_wait(f->role, STATE_PIN, NULL, whole, &len), E_INVALID);
    assert_int_equal(len, 99);
}

static void test_role_put_state_without_memory_sends_nothing(void **state)
{
    struct fixture *f = *state;
    struct role_message message;
    int fd = -1;
    memory_error = EMFILE;
    assert_int_equal(role_put_state(f->role, STATE_PIN, span_of_text("x")).detail, EMFILE);
    fill_error = ENOSPC;
    assert_int_equal(role_put_state(f->role, STATE_PIN, span_of_text("x")).detail, ENOSPC);
    seal_error = EPERM;
    assert_int_equal(role_put_state(f->role, STATE_PIN, span_of_text("x")).detail, EPERM);
    assert_fails(role_receive(f->keeper, false, &message, &fd), E_UNAVAILABLE);
}

static void test_role_send_and_receive_on_what_is_no_socket_fail(void **state)
{
    (void)state;
    const struct role_message message = {.kind = ROLE_READY};
    struct role_message got;
    int fd = -1;
    OWN_FD file = memory("");
    assert_int_equal(role_send(file, &message, -1).detail, ENOTSOCK);
    err_t err = role_receive(file, true, &got, &fd);
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, ENOTSOCK);
}

/* Asks the keeper's side for a file and gives the answer's value. */
static int64_t get(struct fixture *f, uint32_t file, unsigned allowed, enum err_code expected)
{
    const struct role_message ask = {.kind = ROLE_STATE_GET, .file = file};
    struct role_message got;
    OWN_FD fd = -1;
    assert_fails(role_serve_state(f->keeper, &f->dir, allowed, &ask, -1), expected);
    assert_ok(role_receive(f->role, false, &got, &fd));
    assert_int_equal(got.kind, ROLE_STATE_DATA);
    assert_int_equal(fd, -1);
    return got.value;
}

static void test_role_serve_state_get_of_no_file_or_another_gives_no_descriptor(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(get(f, STATE_PIN, 1u << STATE_PIN, E_NONE), 0);
    assert_int_equal(get(f, STATE_PIN, 1u << STATE_SEEDS, E_SYSTEM), -EACCES);
    assert_int_equal(get(f, STATE_FILES, ~0u, E_SYSTEM), -EACCES);
    assert_int_equal(mkfifoat(f->dir.fd, "health", 0600), 0);
    assert_int_equal(get(f, STATE_HEALTH, ~0u, E_INVALID), -EINVAL);
}

static void test_role_serve_state_part_that_leads_elsewhere_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *const parts[] = {"aa", "lock", "../pin", "aa/b"};
    struct role_message put = {.kind = ROLE_STATE_PUT, .file = STATE_PIN, .value = 3};
    struct role_message got;
    int none = -1;
    OWN_FD fd = memory("abc");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        bool good = i == 0;
        (void)snprintf(put.text, sizeof(put.text), "%s", parts[i]);
        assert_fails(role_serve_state(f->keeper, &f->dir, ~0u, &put, fd),
                     good ? E_NONE : E_INVALID);
        assert_ok(role_receive(f->role, false, &got, &none));
        assert_int_equal(got.value, good ? 0 : EINVAL);
    }
    assert_int_equal(unlinkat(f->dir.fd, "pin.aa", 0), 0);
    assert_int_equal(unlinkat(f->dir.fd, "pin", 0), -1);
}

static void test_role_serve_state_role_that_is_gone_is_told(void **state)
{
    struct fixture *f = *state;
    const struct role_message ask = {.kind = ROLE_STATE_GET, .file = STATE_PIN};
    const struct role_message put = {.kind = ROLE_STATE_PUT, .file = STATE_PIN, .value = 3};
    OWN_FD fd = memory("abc");
    (void)close(f->role);
    f->role = -1;
    assert_int_equal(role_serve_state(f->keeper, &f->dir, ~0u, &ask, -1).detail, EPIPE);
    assert_int_equal(role_serve_state(f->keeper, &f->dir, ~0u, &put, fd).detail, EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_role_put_state_wait_passes_other_messages_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_role_put_state_wait_refusal_carries_its_errno, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_role_wait_ends_when_the_keeper_goes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_role_get_state_wait_reads_up_to_the_whole_room, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_role_get_state_wait_bad_answers_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_role_put_state_without_memory_sends_nothing, set_up,
                                        tear_down),
        cmocka_unit_test(test_role_send_and_receive_on_what_is_no_socket_fail),
        cmocka_unit_test_setup_teardown(
            test_role_serve_state_get_of_no_file_or_another_gives_no_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_role_serve_state_part_that_leads_elsewhere_is_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_role_serve_state_role_that_is_gone_is_told, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
