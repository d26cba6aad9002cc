#include "base/event.h"

#include <string.h>

#include "base/log.h"
#include "base/log_limit.h"
#include "tests/kit/unit.h"

static const char *written;
static enum log_level written_level;
static unsigned lines;

void __wrap_log_write(enum log_level level, const char *name, const struct log_field *fields,
                      size_t n);
void __wrap_log_write(enum log_level level, const char *name, const struct log_field *fields,
                      size_t n)
{
    (void)fields;
    (void)n;
    written = name;
    written_level = level;
    lines++;
}

static bool has_only(const char *text, const char *characters)
{
    return text[0] != '\0' && text[strspn(text, characters)] == '\0';
}

static void test_event_row_each_has_a_name_and_a_level(void **state)
{
    (void)state;
    for (int i = 0; i < EVENTS_N; i++) {
        const struct event_row *row = event_row((enum event)i);
        assert_true(has_only(row->name, "abcdefghijklmnopqrstuvwxyz-"));
        assert_true(row->name[0] != '-' && row->name[strlen(row->name) - 1] != '-');
        assert_in_range(row->level, LOG_LEVEL_DEBUG, LOG_LEVEL_ERROR);
        assert_true(row->counter == NULL || has_only(row->counter, "abcdefghijklmnopqrstuvwxyz_"));
    }
}

static void test_event_row_names_are_sorted_and_so_each_its_own(void **state)
{
    (void)state;
    for (int i = 1; i < EVENTS_N; i++) {
        const char *before = event_row((enum event)(i - 1))->name;
        const char *name = event_row((enum event)i)->name;
        if (strcmp(before, name) >= 0) {
            fail_msg("%s stands before %s", before, name);
        }
    }
}

static void test_event_row_is_that_of_its_event(void **state)
{
    (void)state;
    assert_string_equal(event_row(EVENT_ACCEPT_FAILED)->name, "accept-failed");
    assert_int_equal(event_row(EVENT_ACCEPT_FAILED)->level, LOG_LEVEL_ERROR);
    assert_string_equal(event_row(EVENT_DECRYPT_REFUSED)->counter, "decrypts_refused");
    assert_true(event_row(EVENT_DECRYPT_REFUSED)->audited);
    assert_string_equal(event_row(EVENT_WAITING_FOR_TOKEN_PROCESS)->name,
                        "waiting-for-token-process");
    assert_null(event_row(EVENT_WAITING_FOR_TOKEN_PROCESS)->counter);
    assert_false(event_row(EVENT_WAITING_FOR_TOKEN_PROCESS)->audited);
}

static void test_log_event_writes_the_row_and_counts(void **state)
{
    (void)state;
    uint64_t before = event_count(EVENT_DRAINING);
    uint64_t other = event_count(EVENT_ENDED);
    lines = 0;
    log_event(EVENT_DRAINING);
    assert_int_equal(lines, 1);
    assert_string_equal(written, "draining");
    assert_int_equal(written_level, LOG_LEVEL_INFO);
    log_event_at(LOG_LEVEL_ERROR, EVENT_DRAINING);
    assert_int_equal(written_level, LOG_LEVEL_ERROR);
    assert_int_equal(event_count(EVENT_DRAINING), before + 2);
    assert_int_equal(event_count(EVENT_ENDED), other);
}

static void test_log_limit_counts_what_it_leaves_out(void **state)
{
    (void)state;
    struct log_limit limit = {.event = EVENT_PEER_REFUSED};
    uint64_t before = event_count(EVENT_PEER_REFUSED);
    lines = 0;
    for (unsigned i = 0; i < LOG_LIMIT_LINES + 5; i++) {
        if (log_limit_passes(&limit, 1000)) {
            log_event(EVENT_PEER_REFUSED);
        }
    }
    assert_int_equal(lines, LOG_LIMIT_LINES);
    assert_int_equal(event_count(EVENT_PEER_REFUSED), before + LOG_LIMIT_LINES + 5);
    log_limit_tick(&limit, 1000 + LOG_LIMIT_MS); /* the line that says so is no occurrence */
    assert_int_equal(lines, LOG_LIMIT_LINES + 1);
    assert_int_equal(event_count(EVENT_PEER_REFUSED), before + LOG_LIMIT_LINES + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_row_each_has_a_name_and_a_level),
        cmocka_unit_test(test_event_row_names_are_sorted_and_so_each_its_own),
        cmocka_unit_test(test_event_row_is_that_of_its_event),
        cmocka_unit_test(test_log_event_writes_the_row_and_counts),
        cmocka_unit_test(test_log_limit_counts_what_it_leaves_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
