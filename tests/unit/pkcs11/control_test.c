/*
 * What the keeper says while the PIN record is asked for. One keeper for all: the thread starts
 * once.
 */
#define _GNU_SOURCE
#include "pkcs11/control.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/role.h"
#include "base/version.h"
#include "tests/kit/unit.h"

static int keeper_fd = -1;
static int asker_fd = -1;
static int lines_fd = -1; /* what is logged */

static int set_up(void **state)
{
    (void)state;
    int ends[2];
    int lines[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(pipe2(lines, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(dup2(lines[1], STDERR_FILENO), STDERR_FILENO);
    lines_fd = fcntl(lines[0], F_DUPFD_CLOEXEC, 20); /* none of ours at a role's numbers */
    keeper_fd = fcntl(ends[0], F_DUPFD_CLOEXEC, 20);
    assert_int_equal(dup2(ends[1], ROLE_FD_CONTROL), ROLE_FD_CONTROL);
    assert_int_equal(dup2(STDERR_FILENO, ROLE_FD_PIN_LOCK), ROLE_FD_PIN_LOCK);
    assert_ok(control_start(&asker_fd));
    return 0;
}

/* An answer is to the question that comes next. */
static void say(enum role_kind kind, int64_t value, int fd)
{
    const struct role_message message = {
        .kind = kind, .file = STATE_PIN, .sequence = role_sequence() + 1, .value = value};
    assert_ok(role_send(keeper_fd, &message, fd));
}

static void say_reload(enum log_format format)
{
    static struct config config = {.magic = CONFIG_MAGIC, .version = CONFIG_VERSION};
    OWN_FD fd = -1;
    (void)snprintf(config.build_id, sizeof(config.build_id), "%s", P11KMS_BUILD_ID);
    config.log_format = format;
    config.log_level = LOG_LEVEL_INFO;
    assert_ok(role_config_fd(&config, &fd));
    say(ROLE_RELOAD, 0, fd);
}

/* The next line that is logged has this word. */
static void assert_logged(const char *word)
{
    char line[2049];
    struct pollfd fds = {.fd = lines_fd, .events = POLLIN};
    assert_int_equal(poll(&fds, 1, 20000), 1);
    ssize_t n = read(lines_fd, line, sizeof(line) - 1);
    assert_true(n > 0);
    line[n] = '\0';
    assert_non_null(strstr(line, word));
}

static void test_keeper_question_and_answer_pass_and_a_reload_between_takes_effect(void **state)
{
    (void)state;
    say_reload(LOG_FORMAT_JSON);
    say(ROLE_STATE_STORED, 0, -1);
    assert_ok(role_put_state_wait(asker_fd, STATE_PIN, NULL, span_of_text("record")));
    assert_logged("\"event\":\"reloaded\"");
    struct role_message asked;
    OWN_FD fd = -1;
    char text[8] = "";
    assert_ok(role_receive(keeper_fd, true, &asked, &fd));
    assert_int_equal(asked.kind, ROLE_STATE_PUT);
    assert_int_equal(pread(fd, text, sizeof(text), 0), 6);
    assert_string_equal(text, "record");
}

static void test_keeper_reload_takes_effect_while_nobody_asks(void **state)
{
    (void)state;
    say_reload(LOG_FORMAT_TEXT);
    assert_logged("event=reloaded");
}

static void test_keeper_reload_without_a_config_is_refused_and_the_next_one_taken(void **state)
{
    (void)state;
    say(ROLE_RELOAD, 0, -1);
    assert_logged("event=reload-refused");
    say_reload(LOG_FORMAT_TEXT);
    assert_logged("event=reloaded");
}

static void test_keeper_new_pin_lock_is_at_its_number(void **state)
{
    (void)state;
    struct stat sent;
    struct stat found = {0};
    OWN_FD lock = memfd_create("pin.lock", MFD_CLOEXEC);
    assert_int_equal(fstat(lock, &sent), 0);
    say(ROLE_PIN_LOCK, 0, lock);
    say_reload(LOG_FORMAT_TEXT); /* after it */
    assert_logged("event=reloaded");
    assert_int_equal(fstat(ROLE_FD_PIN_LOCK, &found), 0);
    assert_int_equal(found.st_ino, sent.st_ino);
}

static void test_keeper_gone_ends_the_wait(void **state)
{
    (void)state;
    char room[4];
    size_t len = 0;
    (void)close(keeper_fd);
    err_t err =
        role_get_state_wait(asker_fd, STATE_PIN, NULL, span_mut_of(room, sizeof(room)), &len);
    assert_true(failed(err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeper_question_and_answer_pass_and_a_reload_between_takes_effect),
        cmocka_unit_test(test_keeper_reload_takes_effect_while_nobody_asks),
        cmocka_unit_test(test_keeper_reload_without_a_config_is_refused_and_the_next_one_taken),
        cmocka_unit_test(test_keeper_new_pin_lock_is_at_its_number),
        cmocka_unit_test(test_keeper_gone_ends_the_wait), /* last: it ends the thread */
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
