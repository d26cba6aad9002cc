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
#include "base/state_table.h"
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

/* The health file is a log here: of the product's own, none is one yet. */
const struct state_row *__real_state_row(enum state_file file);
const struct state_row *__wrap_state_row(enum state_file file);
const struct state_row *__wrap_state_row(enum state_file file)
{
    static const struct state_row log = {.name = "health", .append_max = 16};
    return file == STATE_HEALTH ? &log : __real_state_row(file);
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

/*
 * The keeper's answer to the question that comes `ahead` questions from now (1: to the next one).
 * It is sent before that: the socket keeps it until it is read.
 */
static void answer_to(struct fixture *f, unsigned ahead, enum role_kind kind, int64_t value, int fd)
{
    const struct role_message message = {
        .kind = kind, .file = STATE_PIN, .sequence = role_sequence() + ahead, .value = value};
    assert_ok(role_send(f->keeper, &message, fd));
}

static void answer(struct fixture *f, enum role_kind kind, int64_t value, int fd)
{
    answer_to(f, 1, kind, value, fd);
}

static int memory(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

/* A full disk's answer to an earlier record, say, which nobody waited for any more. */
static void test_role_put_state_wait_takes_the_answer_to_its_own_message_alone(void **state)
{
    struct fixture *f = *state;
    answer_to(f, 4, ROLE_DRAIN, 0, -1);
    answer_to(f, 0, ROLE_STATE_STORED, EIO, -1);
    answer_to(f, 2, ROLE_STATE_DATA, 0, -1);
    answer_to(f, 1, ROLE_STATE_STORED, 0, -1);
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
    answer(f, ROLE_STATE_STORED, ENOSPC, -1);
    err_t err = role_put_state_wait(f->role, STATE_PIN, NULL, span_of_text("record"));
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, ENOSPC);
}

static void test_role_wait_ends_when_the_keeper_goes(void **state)
{
    struct fixture *f = *state;
    char room[4];
    size_t len = 0;
    answer(f, ROLE_DRAIN, 0, -1);
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
    answer_to(f, 0, ROLE_STATE_DATA, 0, -1); /* to another question */
    answer(f, ROLE_STATE_DATA, 6, fd);
    assert_ok(role_get_state_wait(f->role, STATE_PIN, NULL, span_mut_of(room, sizeof(room)), &len));
    assert_int_equal(len, 6);
    assert_memory_equal(room, "record", 6);
    answer(f, ROLE_STATE_DATA, 0, fd);
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
    answer(f, ROLE_STATE_DATA, -EACCES, -1);
    err_t err = role_get_state_wait(f->role, STATE_PIN, NULL, whole, &len);
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, EACCES);
    answer(f, ROLE_STATE_DATA, 7, fd);
    assert_fails(role_get_state_wait(f->role, STATE_PIN, NULL, whole, &len), E_LIMIT);
    answer(f, ROLE_STATE_DATA, 0, -1);
    assert_fails(role_get_state_wait(f->role, STATE_PIN, NULL, whole, &len), E_NOT_FOUND);
    answer(f, ROLE_STATE_DATA, 4, fd);
    assert_fails(role_get_state_wait(f->role, STATE_PIN, NULL, whole, &len), E_INVALID);
    assert_int_equal(len, 99);
}

static void test_role_put_state_without_memory_sends_nothing(void **state)
{
    struct fixture *f = *state;
    struct role_message message;
    int fd = -1;
    memory_error = EMFILE;
    assert_int_equal(role_put_state(f->role, STATE_PIN, span_of_text("x"), 1).detail, EMFILE);
    fill_error = ENOSPC;
    assert_int_equal(role_put_state(f->role, STATE_PIN, span_of_text("x"), 1).detail, ENOSPC);
    seal_error = EPERM;
    assert_int_equal(role_put_state(f->role, STATE_PIN, span_of_text("x"), 1).detail, EPERM);
    assert_fails(role_receive(f->keeper, false, &message, &fd), E_UNAVAILABLE);
}

/* Each message about a state file is one that its sender can tell from the others. */
static void test_role_sequence_is_new_each_time_and_never_none(void **state)
{
    (void)state;
    uint32_t first = role_sequence();
    assert_int_not_equal(first, 0);
    assert_int_equal(role_sequence(), first + 1);
}

static unsigned open_here(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++) {
        n += __real_fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static void test_role_put_state_into_a_full_socket_is_told_and_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    const struct role_message word = {.kind = ROLE_STATUS};
    while (!failed(role_send(f->role, &word, -1))) {
    }
    unsigned before = open_here();
    err_t err = role_put_state(f->role, STATE_PIN, span_of_text("record"), 1);
    assert_true(err.code == E_SYSTEM && err.detail == EAGAIN);
    err = role_put_state_wait(f->role, STATE_PIN, NULL, span_of_text("record"));
    assert_true(err.code == E_SYSTEM && err.detail == EAGAIN); /* and it is not waited for */
    assert_int_equal(open_here(), before);
}

/* Serves what the role has sent. */
static void serve(struct fixture *f, enum err_code expected)
{
    struct role_message message;
    OWN_FD fd = -1;
    assert_ok(role_receive(f->keeper, false, &message, &fd));
    assert_true(role_asks_state(&message));
    assert_fails(role_serve_state(f->keeper, &f->dir, ~0u, &message, fd), expected);
}

static void assert_answer(struct fixture *f, uint32_t sequence, int64_t value)
{
    struct role_message got;
    OWN_FD fd = -1;
    assert_ok(role_receive(f->role, false, &got, &fd));
    assert_int_equal(got.kind, ROLE_STATE_STORED);
    assert_int_equal(got.sequence, sequence);
    assert_int_equal(got.value, value);
}

static void test_role_append_state_adds_to_a_log_and_to_nothing_else(void **state)
{
    struct fixture *f = *state;
    char text[32] = "";
    size_t len = 0;
    assert_ok(role_append_state(f->role, STATE_HEALTH, span_of_text("one."), 5));
    assert_ok(role_append_state(f->role, STATE_HEALTH, span_of_text("two."), 6));
    serve(f, E_NONE);
    serve(f, E_NONE);
    assert_answer(f, 5, 0);
    assert_answer(f, 6, 0);
    assert_ok(role_append_state(f->role, STATE_HEALTH, span_of_text("0123456789"), 7));
    serve(f, E_SYSTEM);
    assert_answer(f, 7, EOVERFLOW);
    assert_ok(role_put_state(f->role, STATE_HEALTH, span_of_text("all anew"), 8));
    serve(f, E_DENIED);
    assert_answer(f, 8, EACCES);
    assert_ok(role_append_state(f->role, STATE_PIN, span_of_text("more"), 9));
    serve(f, E_DENIED);
    assert_answer(f, 9, EACCES);
    assert_ok(state_read(&f->dir, STATE_HEALTH, NULL, span_mut_of(text, sizeof(text)), &len));
    assert_string_equal(text, "one.two.");
}

static void test_role_append_state_wait_takes_its_answer(void **state)
{
    struct fixture *f = *state;
    struct role_message asked;
    OWN_FD fd = -1;
    answer(f, ROLE_STATE_STORED, EIO, -1);
    err_t err = role_append_state_wait(f->role, STATE_HEALTH, NULL, span_of_text("line"));
    assert_true(err.code == E_SYSTEM && err.detail == EIO);
    assert_ok(role_receive(f->keeper, false, &asked, &fd));
    assert_int_equal(asked.kind, ROLE_STATE_APPEND);
    assert_false(role_asks_state(&(struct role_message){.kind = ROLE_STATE_STORED}));
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

#define EACH(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_role_put_state_wait_takes_the_answer_to_its_own_message_alone),
        EACH(test_role_put_state_wait_refusal_carries_its_errno),
        EACH(test_role_wait_ends_when_the_keeper_goes),
        EACH(test_role_get_state_wait_reads_up_to_the_whole_room),
        EACH(test_role_get_state_wait_bad_answers_are_refused),
        EACH(test_role_put_state_without_memory_sends_nothing),
        cmocka_unit_test(test_role_sequence_is_new_each_time_and_never_none),
        EACH(test_role_put_state_into_a_full_socket_is_told_and_leaks_nothing),
        EACH(test_role_append_state_adds_to_a_log_and_to_nothing_else),
        EACH(test_role_append_state_wait_takes_its_answer),
        cmocka_unit_test(test_role_send_and_receive_on_what_is_no_socket_fail),
        EACH(test_role_serve_state_get_of_no_file_or_another_gives_no_descriptor),
        EACH(test_role_serve_state_part_that_leads_elsewhere_is_refused),
        EACH(test_role_serve_state_role_that_is_gone_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
