/* files: what is on its way to the keeper, and what becomes of it, over a socketpair. */
#define _GNU_SOURCE
#include "server/front/files.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/kit/unit.h"

struct fixture {
    struct files files;
    int keeper;
    unsigned fates;       /* how often we were told, */
    enum state_file file; /* of which file last, */
    err_t err;            /* and what */
};

static void on_fate(void *ctx, enum state_file file, err_t err)
{
    struct fixture *f = ctx;
    f->fates++;
    f->file = file;
    f->err = err;
}

static int set_up(void **state)
{
    static struct fixture f;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    f = (struct fixture){.keeper = ends[1]};
    files_init(&f.files, ends[0], on_fate, &f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    files_done(&f->files);
    (void)close(f->files.control_fd);
    (void)close(f->keeper);
    return 0;
}

static err_t put(struct fixture *f, const char *text, int64_t now_ms)
{
    return files_put(&f->files, STATE_SEEDS, span_of_text(text), now_ms);
}

/* The next message at the keeper is a put of this; gives its sequence. */
static uint32_t assert_arrives(struct fixture *f, const char *wanted)
{
    struct role_message got;
    OWN_FD fd = -1;
    char text[16] = "";
    assert_ok(role_receive(f->keeper, false, &got, &fd));
    assert_int_equal(got.kind, ROLE_STATE_PUT);
    assert_int_equal(got.value, strlen(wanted));
    assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), (ssize_t)strlen(wanted));
    assert_string_equal(text, wanted);
    return got.sequence;
}

static void assert_nothing_arrives(struct fixture *f)
{
    struct role_message got;
    int fd = -1;
    assert_fails(role_receive(f->keeper, false, &got, &fd), E_UNAVAILABLE);
}

static bool answer(struct fixture *f, uint32_t sequence, int64_t value)
{
    const struct role_message message = {
        .kind = ROLE_STATE_STORED, .file = STATE_SEEDS, .sequence = sequence, .value = value};
    return files_answered(&f->files, &message, 0);
}

static void test_files_put_the_newest_follows_the_one_on_its_way(void **state)
{
    struct fixture *f = *state;
    assert_ok(put(f, "one", 0));
    assert_ok(put(f, "two", 0));
    assert_ok(put(f, "three", 0));
    assert_ok(files_put(&f->files, STATE_HEALTH, span_of_text("well"), 0)); /* another file's way */
    uint32_t first = assert_arrives(f, "one");
    (void)assert_arrives(f, "well");
    assert_nothing_arrives(f);
    assert_true(answer(f, first, 0));
    assert_int_equal(f->fates, 1);
    assert_ok(f->err);
    uint32_t third = assert_arrives(f, "three");
    assert_true(answer(f, third, 0));
    assert_int_equal(f->fates, 2);
    assert_ok(put(f, "four", 0));
    (void)assert_arrives(f, "four");
}

static void test_files_answered_refusal_is_told_and_what_waited_is_not_sent(void **state)
{
    struct fixture *f = *state;
    assert_ok(put(f, "one", 0));
    assert_ok(put(f, "two", 0));
    assert_true(answer(f, assert_arrives(f, "one"), ENOSPC));
    assert_int_equal(f->fates, 1);
    assert_int_equal(f->file, STATE_SEEDS);
    assert_int_equal(f->err.detail, ENOSPC);
    assert_nothing_arrives(f);
    assert_ok(put(f, "three", 0));
    (void)assert_arrives(f, "three");
}

static void
test_files_tick_takes_for_lost_what_has_no_answer_and_a_late_one_is_no_news(void **state)
{
    struct fixture *f = *state;
    assert_ok(put(f, "one", 1000));
    assert_ok(put(f, "two", 2000));
    uint32_t first = assert_arrives(f, "one");
    files_tick(&f->files, 1000 + FILES_LOST_MS - 1);
    assert_int_equal(f->fates, 0);
    files_tick(&f->files, 1000 + FILES_LOST_MS);
    assert_int_equal(f->fates, 1);
    assert_int_equal(f->err.detail, ETIMEDOUT);
    assert_nothing_arrives(f);
    assert_ok(put(f, "three", 40000));
    uint32_t third = assert_arrives(f, "three");
    assert_false(answer(f, first, 0));
    assert_int_equal(f->fates, 1);
    assert_true(answer(f, third, 0));
    assert_int_equal(f->fates, 2);
    assert_ok(f->err);
    files_tick(&f->files, INT64_MAX);
    assert_int_equal(f->fates, 2);
}

static void fill(struct fixture *f)
{
    const struct role_message word = {.kind = ROLE_STATUS};
    while (!failed(role_send(f->files.control_fd, &word, -1))) {
    }
}

static void empty(struct fixture *f)
{
    struct role_message got;
    int fd = -1;
    while (!failed(role_receive(f->keeper, false, &got, &fd))) {
    }
}

static void test_files_put_into_a_full_socket_is_refused_and_the_next_one_goes(void **state)
{
    struct fixture *f = *state;
    fill(f);
    assert_int_equal(put(f, "one", 0).detail, EAGAIN);
    empty(f);
    assert_ok(put(f, "two", 0));
    uint32_t second = assert_arrives(f, "two");
    assert_int_equal(f->fates, 0);
    assert_ok(put(f, "three", 0));
    fill(f);
    assert_true(answer(f, second, 0));
    assert_int_equal(f->fates, 2); /* two is kept, three was not sent */
    assert_int_equal(f->err.detail, EAGAIN);
    empty(f);
    assert_ok(put(f, "four", 0));
    (void)assert_arrives(f, "four");
}

/* A drained front ends without waiting; its keeper hears out what was said. */
static void test_files_done_sends_what_waits_behind_what_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    assert_ok(put(f, "one", 0));
    assert_ok(put(f, "two", 0));
    assert_ok(put(f, "three", 0));
    files_done(&f->files);
    (void)assert_arrives(f, "one");
    (void)assert_arrives(f, "three");
    assert_nothing_arrives(f);
    assert_int_equal(f->fates, 0);
}

static void test_files_ask_is_answered_by_its_own_answer_alone(void **state)
{
    struct fixture *f = *state;
    struct role_message got;
    int fd = -1;
    assert_false(files_asking(&f->files));
    assert_ok(files_ask(&f->files, STATE_SEEDS));
    assert_true(files_asking(&f->files));
    assert_ok(role_receive(f->keeper, false, &got, &fd));
    assert_int_equal(got.kind, ROLE_STATE_GET);
    struct role_message data = {.kind = ROLE_STATE_DATA, .file = STATE_SEEDS};
    assert_false(files_answered(&f->files, &data, 0)); /* of a keeper that numbers nothing */
    data.sequence = got.sequence + 1;
    assert_false(files_answered(&f->files, &data, 0));
    data.file = STATE_FILES;
    data.sequence = got.sequence;
    assert_false(files_answered(&f->files, &data, 0));
    assert_true(files_asking(&f->files));
    data.file = STATE_SEEDS;
    assert_true(files_answered(&f->files, &data, 0));
    assert_false(files_asking(&f->files));
}

#define EACH(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_files_put_the_newest_follows_the_one_on_its_way),
        EACH(test_files_answered_refusal_is_told_and_what_waited_is_not_sent),
        EACH(test_files_tick_takes_for_lost_what_has_no_answer_and_a_late_one_is_no_news),
        EACH(test_files_put_into_a_full_socket_is_refused_and_the_next_one_goes),
        EACH(test_files_done_sends_what_waits_behind_what_is_on_its_way),
        EACH(test_files_ask_is_answered_by_its_own_answer_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
