#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/kit/unit.h"

#define TIME "2026-02-28T23:59:58.007Z"

/* The writer alone, with names and fields that no table has. */
#define LINE_(level_, event_, ...)                                                                 \
    do {                                                                                           \
        const struct log_field fields_[] = {__VA_ARGS__};                                          \
        log_write((level_), (event_), fields_, sizeof(fields_) / sizeof(fields_[0]) - 1);          \
    } while (0)
#define LINE(level_, ...) LINE_(level_, __VA_ARGS__, ((struct log_field){0}))

static char lines[16384];
static size_t lines_len;
static unsigned writes;
static int interrupts;
static bool real_writes;
static struct timespec wall = {.tv_sec = 1772323198, .tv_nsec = 7999999};

int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    assert_int_equal(id, CLOCK_REALTIME);
    *now = wall;
    return 0;
}

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    if (fd != STDERR_FILENO || real_writes) {
        return __real_write(fd, bytes, len);
    }
    if (interrupts > 0) {
        interrupts--;
        errno = EINTR;
        return -1;
    }
    assert_true(lines_len + len < sizeof(lines));
    memcpy(lines + lines_len, bytes, len);
    lines_len += len;
    lines[lines_len] = '\0';
    writes++;
    return (ssize_t)len;
}

static int reset(void **state)
{
    (void)state;
    log_init("p11-kms-test", LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
    lines_len = 0;
    lines[0] = '\0';
    writes = 0;
    interrupts = 0;
    return 0;
}

static void test_write_text_is_one_line_of_pairs(void **state)
{
    (void)state;
    LINE(LOG_LEVEL_INFO, "token-login", LOG_TEXT("token", "prod"), LOG_NUM("ms", 3));
    assert_string_equal(lines, "time=" TIME " level=info event=token-login program=p11-kms-test "
                               "token=\"prod\" ms=3\n");
    assert_int_equal(writes, 1);
}

static void test_write_json_is_one_object_a_line(void **state)
{
    (void)state;
    log_set(LOG_FORMAT_JSON, LOG_LEVEL_DEBUG);
    LINE(LOG_LEVEL_WARN, "token-login", LOG_TEXT("token", "prod"), LOG_NUM("ms", -3));
    assert_string_equal(lines,
                        "{\"time\":\"" TIME "\",\"level\":\"warn\",\"event\":\"token-login\","
                        "\"program\":\"p11-kms-test\",\"token\":\"prod\",\"ms\":-3}\n");
}

static void test_write_without_fields_or_program_is_short(void **state)
{
    (void)state;
    log_init(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
    LINE(LOG_LEVEL_ERROR, "stop");
    LINE(LOG_LEVEL_DEBUG, "go");
    assert_string_equal(lines, "time=" TIME " level=error event=stop\n"
                               "time=" TIME " level=debug event=go\n");
}

static void test_write_below_the_level_is_dropped(void **state)
{
    (void)state;
    log_set(LOG_FORMAT_TEXT, LOG_LEVEL_WARN);
    LINE(LOG_LEVEL_INFO, "quiet");
    LINE(LOG_LEVEL_DEBUG, "quiet");
    assert_int_equal(writes, 0);
    LINE(LOG_LEVEL_WARN, "heard");
    assert_int_equal(writes, 1);
}

static void test_event_below_the_level_is_counted_all_the_same(void **state)
{
    (void)state;
    log_set(LOG_FORMAT_TEXT, LOG_LEVEL_WARN);
    uint64_t before = event_count(EVENT_RELOADED);
    log_event(EVENT_RELOADED);
    assert_int_equal(writes, 0);
    assert_int_equal(event_count(EVENT_RELOADED), before + 1);
    log_event_at(LOG_LEVEL_WARN, EVENT_RELOADED, LOG_NUM("n", 1));
    assert_string_equal(lines,
                        "time=" TIME " level=warn event=reloaded program=p11-kms-test n=1\n");
    assert_int_equal(event_count(EVENT_RELOADED), before + 2);
}

static void test_write_controls_quotes_and_bad_utf8_are_escaped(void **state)
{
    (void)state;
    log_set(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    LINE(LOG_LEVEL_INFO, "e",
             LOG_TEXT("v", "a\"b\\c\nd\te\x1b[0m\x7f "
                           "\xc3\xa9\xf0\x9f\x94\x91\xc2\x9b\xc2\xa0\xe2\x80\xae|\xff\xe2\x82"));
    assert_non_null(
        strstr(lines, "\"v\":\"a\\\"b\\\\c\\nd\\u0009e\\u001b[0m\\u007f "
                      "\xc3\xa9\xf0\x9f\x94\x91\\u009b\xc2\xa0\\u202e|\\ufffd\\ufffd\\ufffd\"}"));
    assert_int_equal(strcspn(lines, "\n"), lines_len - 1);
}

static void test_write_null_text_is_empty(void **state)
{
    (void)state;
    LINE(LOG_LEVEL_INFO, "e", LOG_TEXT("v", NULL));
    assert_non_null(strstr(lines, " v=\"\"\n"));
}

static void test_write_error_expands_to_its_parts(void **state)
{
    (void)state;
    err_t err = {.code = E_SYSTEM, .detail = ENOENT, .what = "cannot open", .where = "base/x.c:7"};
    LINE(LOG_LEVEL_ERROR, "open-failed", LOG_ERR(err));
    assert_non_null(
        strstr(lines, " err=system what=\"cannot open\" where=\"base/x.c:7\" errno=ENOENT\n"));
    reset(state);
    err = (err_t){.code = E_TOKEN, .detail = 0xa0, .what = "login", .where = "p.c:1"};
    LINE(LOG_LEVEL_ERROR, "login-failed", LOG_ERR(err));
    assert_non_null(strstr(lines, " err=token what=\"login\" where=\"p.c:1\" rv=0xa0\n"));
    reset(state);
    LINE(LOG_LEVEL_ERROR, "odd", LOG_ERR(((err_t){.code = E_SYSTEM, .detail = 9999})), LOG_ERR(OK));
    assert_non_null(strstr(lines, " err=system errno=9999 err=none\n"));
    reset(state);
    log_set(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    LINE(LOG_LEVEL_ERROR, "login-failed", LOG_ERR(err));
    assert_non_null(strstr(
        lines, ",\"err\":\"token\",\"what\":\"login\",\"where\":\"p.c:1\",\"rv\":\"0xa0\"}\n"));
}

static void test_write_long_text_is_cut_within_2_kib(void **state)
{
    (void)state;
    char text[4000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
        reset(state);
        log_set((enum log_format)format, LOG_LEVEL_INFO);
        LINE(LOG_LEVEL_INFO, "e", LOG_TEXT("v", text), LOG_TEXT("after", "lost"));
        assert_true(lines_len <= 2048 && lines_len > 1950);
        const char *end = format == LOG_FORMAT_JSON ? "x\xe2\x80\xa6\",\"cut\":\"\xe2\x80\xa6\"}\n"
                                                    : "x\xe2\x80\xa6\" \xe2\x80\xa6\n";
        assert_string_equal(lines + lines_len - strlen(end), end);
    }
}

static void test_write_every_length_up_to_the_limit_ends_well(void **state)
{
    (void)state;
    char text[2100];
    log_set(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    for (size_t n = 1850; n < sizeof(text) - 1; n++) {
        memset(text, '\\', n);
        text[n] = '\0';
        lines_len = 0;
        LINE(LOG_LEVEL_INFO, "e", LOG_TEXT("v", text + n / 2),
             LOG_TEXT("w", "\xe2\x82\xac\xe2\x82\xac"), LOG_NUM("n", INT64_MIN));
        assert_true(lines_len <= 2048);
        assert_string_equal(lines + lines_len - 2, "}\n");
    }
}

static void test_write_many_fields_past_the_limit_says_cut(void **state)
{
    (void)state;
    struct log_field fields[300];
    for (size_t i = 0; i < 300; i++) {
        fields[i] = i % 2 == 0 ? LOG_NUM("number", 1000000) : LOG_TEXT("text", "value");
    }
    log_write(LOG_LEVEL_INFO, "many", fields, 300);
    assert_true(lines_len <= 2048);
    assert_non_null(strstr(lines, " \xe2\x80\xa6\n"));
    reset(state);
    log_set(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    log_write(LOG_LEVEL_INFO, "many", fields, 300);
    assert_true(lines_len <= 2048);
    assert_non_null(strstr(lines, ",\"cut\":\"\xe2\x80\xa6\"}\n"));
}

static void test_write_interrupted_is_sent_again_and_errno_kept(void **state)
{
    (void)state;
    interrupts = 2;
    errno = EAGAIN;
    LINE(LOG_LEVEL_INFO, "once");
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(writes, 1);
}

static void test_write_calendar_is_right_at_its_corners(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00"},          {951782400, "2000-02-29T00:00:00"},
        {951868799, "2000-02-29T23:59:59"},  {951868800, "2000-03-01T00:00:00"},
        {1735689599, "2024-12-31T23:59:59"}, {1735689600, "2025-01-01T00:00:00"},
        {4107542400, "2100-03-01T00:00:00"}, {2147483648, "2038-01-19T03:14:08"},
    };
    struct timespec saved = wall;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reset(state);
        wall = (struct timespec){.tv_sec = cases[i].seconds};
        LINE(LOG_LEVEL_INFO, "t");
        assert_memory_equal(lines + 5, cases[i].text, strlen(cases[i].text));
    }
    wall = saved;
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 200; i++) {
        LINE(LOG_LEVEL_INFO, "thread", LOG_TEXT("who", arg), LOG_NUM("i", i));
    }
    return NULL;
}

static void test_write_from_threads_never_mixes_lines(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(file);
    int to = fileno(file);
    real_writes = true;
    (void)dup2(to, STDERR_FILENO);
    (void)fcntl(STDERR_FILENO, F_SETFL, O_APPEND);
    pthread_t threads[2];
    char *names[] = {"one", "two"};
    for (int i = 0; i < 2; i++) {
        (void)pthread_create(&threads[i], NULL, write_many, names[i]);
    }
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    real_writes = false;
    rewind(file);
    char line[256];
    int n = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        assert_int_equal(strncmp(line, "time=" TIME " level=info event=thread ", 50), 0);
        n++;
    }
    (void)fclose(file);
    assert_int_equal(n, 400);
}

static void test_write_full_pipe_is_not_waited_for_and_counted(void **state)
{
    (void)state;
    static char filler[4096];
    int ends[2];
    int error_fd = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (__real_write(ends[1], filler, sizeof(filler)) > 0) {
    }
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    real_writes = true;
    (void)alarm(20);
    LINE(LOG_LEVEL_INFO, "one");
    LINE(LOG_LEVEL_INFO, "two");
    (void)alarm(0);
    real_writes = false;
    assert_int_equal(dup2(error_fd, STDERR_FILENO), STDERR_FILENO);
    LINE(LOG_LEVEL_INFO, "three");
    LINE(LOG_LEVEL_INFO, "four");
    assert_string_equal(lines, "time=" TIME " level=info event=three program=p11-kms-test lost=2\n"
                               "time=" TIME " level=info event=four program=p11-kms-test\n");
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(error_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_write_text_is_one_line_of_pairs, reset),
        cmocka_unit_test_setup(test_write_json_is_one_object_a_line, reset),
        cmocka_unit_test_setup(test_write_without_fields_or_program_is_short, reset),
        cmocka_unit_test_setup(test_write_below_the_level_is_dropped, reset),
        cmocka_unit_test_setup(test_event_below_the_level_is_counted_all_the_same, reset),
        cmocka_unit_test_setup(test_write_controls_quotes_and_bad_utf8_are_escaped, reset),
        cmocka_unit_test_setup(test_write_null_text_is_empty, reset),
        cmocka_unit_test_setup(test_write_error_expands_to_its_parts, reset),
        cmocka_unit_test_setup(test_write_long_text_is_cut_within_2_kib, reset),
        cmocka_unit_test_setup(test_write_every_length_up_to_the_limit_ends_well, reset),
        cmocka_unit_test_setup(test_write_many_fields_past_the_limit_says_cut, reset),
        cmocka_unit_test_setup(test_write_interrupted_is_sent_again_and_errno_kept, reset),
        cmocka_unit_test_setup(test_write_calendar_is_right_at_its_corners, reset),
        cmocka_unit_test_setup(test_write_from_threads_never_mixes_lines, reset),
        cmocka_unit_test_setup(test_write_full_pipe_is_not_waited_for_and_counted, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
