#include "pkcs11/pin_record.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/unit.h"

#define SERIAL "0123456789abcdef"
#define NOW    1800000000
#define OLD    "p11-kms pin 1\nsalt=00112233445566778899aabbccddeeff\n"
#define HEX_A  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NEW    "p11-kms pin 2\nsalt=00112233445566778899aabbccddeeff\n"
#define OTHER  "6f74686572" /* "other" */
#define THIRD  "7468697264" /* "third" */

#define SOURCE {.known = true, .inode = 7, .changed_s = NOW, .changed_ns = 999999999}

static const struct pin_source source = SOURCE;

static const struct pin_try try_it = {.source = SOURCE, .flags = {.readable = true}, .now_s = NOW};

static struct pin_record parsed_for(const char *serial, const char *text)
{
    struct pin_record record;
    pin_record_parse(span_of_text(text), serial, &record);
    return record;
}

static struct pin_record parsed(const char *text)
{
    return parsed_for("other", text);
}

static size_t write_good(uint8_t bytes[PIN_RECORD_BYTES])
{
    const struct pin_record record = {.has_salt = true, .token = {.known = true, .good = source}};
    size_t len = 0;
    assert_ok(pin_record_write(&record, SERIAL, span_mut_of(bytes, PIN_RECORD_BYTES), &len));
    return len;
}

static void test_parse_nothing_is_none(void **state)
{
    (void)state;
    struct pin_record record = parsed("");
    assert_false(record.has_salt || record.token.known || record.token.pending);
    assert_int_equal(record.token.cut, 0);
    assert_int_equal(record.failed_n, 0);
}

static void test_parse_cut_record_reads_as_a_cut_login(void **state)
{
    (void)state;
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = write_good(bytes);
    struct pin_record record;
    for (size_t i = 1; i < len; i++) {
        pin_record_parse(span_of(bytes, i), SERIAL, &record);
        bool whole_lines = bytes[i - 1] == '\n' && record.has_salt;
        assert_true(whole_lines || record.token.cut == 1);
    }
}

static void test_parse_damaged_record_leaves_one_try(void **state)
{
    (void)state;
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = write_good(bytes);
    struct pin_record record;
    bytes[20] ^= 0x80;
    pin_record_parse(span_of(bytes, len), SERIAL, &record);
    struct pin_try try = try_it;
    assert_int_equal(pin_record_begin(&record, &try), PIN_TRY);
    assert_int_equal(pin_record_begin(&record, &try), PIN_STOP_CUT);
}

/* As an earlier build wrote them, and "*" when it had found a damaged one. */
static void test_parse_takes_the_lines_of_one_token(void **state)
{
    (void)state;
    static const char text[] = NEW "token=* 0 0 0 0 7 0 0 -\n"
                                   "token=" OTHER " 0 1 0 0 2 3 17 1.2.3\n"
                                   "failed=" OTHER " " HEX_A " 1.2.3\n"
                                   "failed=" THIRD " " HEX_B " 4.5.6\n";
    struct pin_record record = parsed_for("other", text);
    assert_true(record.token.known && record.token.good.known);
    assert_int_equal(record.token.cut, 2);
    assert_int_equal(record.failed_n, 1);
    assert_int_equal(record.failed[0].hash[0], 0xaa);
    record = parsed_for("third", text);
    assert_int_equal(record.token.cut, 7);
    assert_int_equal(record.failed_n, 1);
    assert_int_equal(record.failed[0].hash[0], 0xbb);
    record = parsed_for("fourth", text);
    assert_int_equal(record.token.cut, 7);
    assert_int_equal(record.failed_n, 0);
}

static void test_parse_line_that_is_none_damages_all(void **state)
{
    (void)state;
    static const char *const lines[] = {"token=" OTHER " 0 1 0 0 2 3 17 1.2\n",
                                        "token=" OTHER "0 0 1 0 0 2 3 17 -\n",
                                        "token=" OTHER " 2 1 0 0 2 3 17 -\n",
                                        "failed=* " HEX_A " -\n",
                                        "failed=" OTHER " " HEX_A "0 -\n",
                                        "else=" OTHER " 0 1 0 0 2 3 17 -\n",
                                        "token=" OTHER OTHER OTHER OTHER " 0 1 0 0 2 3 17 -\n"};
    char text[512];
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s%s", NEW, lines[i]);
        struct pin_record record = parsed_for("third", text);
        assert_false(record.has_salt);
        assert_int_equal(record.token.cut, 1);
    }
}

/* Every field at its limit, and as many lines as there may be. */
static struct pin_record full_record(void)
{
    const struct pin_source far = {.known = true,
                                   .inode = INT64_MAX / 10,
                                   .changed_s = INT64_MAX / 10,
                                   .changed_ns = 999999999};
    struct pin_record record = {.has_salt = true,
                                .token = {.reports = true,
                                          .known = true,
                                          .any_length = true,
                                          .pending = true,
                                          .cut = UINT32_MAX,
                                          .errors = UINT32_MAX,
                                          .last_s = INT64_MAX / 10,
                                          .good = far},
                                .failed_n = PIN_RECORD_FAILED};
    memset(record.salt, 0x5a, sizeof(record.salt));
    for (unsigned i = 0; i < PIN_RECORD_FAILED; i++) {
        record.failed[i] = (struct pin_failed){.has_hash = i > 0, .source = far};
    }
    return record;
}

static void test_parse_inverts_write(void **state)
{
    (void)state;
    static const char *const serials[] = {SERIAL, "ab cd", ""};
    struct pin_record record = full_record();
    struct pin_record again;
    uint8_t bytes[PIN_RECORD_BYTES];
    uint8_t second[PIN_RECORD_BYTES];
    size_t len = 0;
    size_t second_len = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_ok(pin_record_write(&record, serials[i], span_mut_of(bytes, sizeof(bytes)), &len));
        pin_record_parse(span_of(bytes, len), serials[i], &again);
        assert_true(again.has_salt && again.token.reports && again.token.pending);
        assert_true(pin_source_equal(&again.token.good, &record.token.good));
        assert_int_equal(again.failed_n, PIN_RECORD_FAILED);
        assert_false(again.failed[0].has_hash);
        assert_ok(
            pin_record_write(&again, serials[i], span_mut_of(second, sizeof(second)), &second_len));
        assert_int_equal(len, second_len);
        assert_memory_equal(bytes, second, len);
    }
    assert_fails(pin_record_write(&record, "", span_mut_of(bytes, len - 1), &len), E_LIMIT);
}

static void test_parse_one_failed_value_too_many_is_damaged(void **state)
{
    (void)state;
    char text[PIN_RECORD_BYTES];
    size_t len = (size_t)snprintf(text, sizeof(text), "%s", NEW);
    for (unsigned i = 0; i <= PIN_RECORD_FAILED; i++) {
        struct pin_record record;
        pin_record_parse(span_of(text, len), "other", &record);
        assert_int_equal(record.failed_n, i);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "failed=" OTHER " " HEX_A " -\n");
    }
    struct pin_record record;
    pin_record_parse(span_of(text, len), "other", &record);
    assert_int_equal(record.failed_n, 0);
    assert_int_equal(record.token.cut, 1);
    pin_record_parse(span_of(text, len), "third", &record);
    assert_int_equal(record.token.cut, 0);
}

/*
 * What an older daemon left: the hash of a value that may be good is read by nobody, and gone at
 * the next write.
 */
static void test_parse_form_1_keeps_no_hash_but_of_failed_values(void **state)
{
    (void)state;
    uint8_t bytes[PIN_RECORD_BYTES + 1] = {0};
    size_t len = 0;
    struct pin_record record = parsed(OLD "entry=" OTHER " good " HEX_A " 1 0 0\n"
                                          "entry=" OTHER " intent1 " HEX_A " 0 0 0\n"
                                          "entry=" OTHER " none " HEX_A " 0 3 17\n"
                                          "entry=" OTHER " failed " HEX_B " 0 0 0\n");
    assert_true(record.token.known);
    assert_false(record.token.good.known);
    assert_int_equal(record.token.cut, 1);
    assert_int_equal(record.token.errors, 3);
    assert_int_equal(record.token.last_s, 17);
    assert_int_equal(record.failed_n, 1);
    assert_ok(pin_record_write(&record, "other", span_mut_of(bytes, PIN_RECORD_BYTES), &len));
    assert_null(strstr((const char *)bytes, HEX_A));
    assert_non_null(strstr((const char *)bytes, HEX_B));
    assert_non_null(strstr((const char *)bytes, "salt=00112233445566778899aabbccddeeff"));
}

static void test_parse_form_1_remembers_what_stopped_a_value(void **state)
{
    (void)state;
    uint8_t hash[PIN_RECORD_HASH];
    memset(hash, 0xbb, sizeof(hash));
    struct pin_try try = try_it;
    struct pin_record record = parsed(OLD "entry=" OTHER " failed " HEX_B " 0 0 0\n");
    assert_true(pin_record_needs_hash(&record, &source));
    try.hash = hash;
    assert_int_equal(pin_record_begin(&record, &try), PIN_STOP_FAILED);
    try.hash = NULL;
    record = parsed(OLD "entry=" OTHER " intent2 " HEX_A " 0 0 0\n");
    assert_int_equal(pin_record_begin(&record, &try), PIN_STOP_CUT);
    record = parsed_for("third", OLD "entry=" OTHER " intent2 " HEX_A " 0 0 0\n");
    assert_int_equal(pin_record_begin(&record, &try), PIN_TRY);
    record = parsed(OLD "entry=* intent1 - 0 0 0\n");
    assert_int_equal(pin_record_begin(&record, &try), PIN_TRY);
    assert_int_equal(pin_record_begin(&record, &try), PIN_STOP_CUT);
    /* Once good, it was never in doubt. */
    record = parsed(OLD "entry=" OTHER " good " HEX_A " 1 0 0\nentry=" OTHER " intent1 - 0 0 0\n");
    assert_int_equal(pin_record_begin(&record, &try), PIN_TRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_nothing_is_none),
        cmocka_unit_test(test_parse_cut_record_reads_as_a_cut_login),
        cmocka_unit_test(test_parse_damaged_record_leaves_one_try),
        cmocka_unit_test(test_parse_takes_the_lines_of_one_token),
        cmocka_unit_test(test_parse_line_that_is_none_damages_all),
        cmocka_unit_test(test_parse_inverts_write),
        cmocka_unit_test(test_parse_one_failed_value_too_many_is_damaged),
        cmocka_unit_test(test_parse_form_1_keeps_no_hash_but_of_failed_values),
        cmocka_unit_test(test_parse_form_1_remembers_what_stopped_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
