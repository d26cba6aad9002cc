#include "pkcs11/pin_record.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/unit.h"

#define SERIAL "0123456789abcdef"
#define NOW    1800000000
#define OLD    "p11-kms pin 1\nsalt=00112233445566778899aabbccddeeff\n"
#define HEX_A  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define OTHER  "6f74686572" /* "other" */

static const struct pin_source source = {
    .known = true, .inode = 7, .changed_s = NOW, .changed_ns = 999999999};

static struct pin_try try_of(const char *serial)
{
    return (struct pin_try){
        .serial = serial, .source = source, .flags = {.readable = true}, .now_s = NOW};
}

static struct pin_record parsed(const char *text)
{
    struct pin_record record;
    pin_record_parse(span_of_text(text), &record);
    return record;
}

static size_t write_good(uint8_t bytes[PIN_RECORD_BYTES])
{
    struct pin_record record = {.has_salt = true, .tokens_n = 1};
    size_t len = 0;
    record.tokens[0] = (struct pin_token){.serial = SERIAL, .known = true, .good = source};
    assert_ok(pin_record_write(&record, span_mut_of(bytes, PIN_RECORD_BYTES), &len));
    return len;
}

static void test_parse_nothing_is_none(void **state)
{
    (void)state;
    struct pin_record record = parsed("");
    assert_int_equal(record.tokens_n, 0);
    assert_int_equal(record.failed_n, 0);
}

static void test_parse_cut_record_reads_as_a_cut_login_for_anything(void **state)
{
    (void)state;
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = write_good(bytes);
    struct pin_record record;
    for (size_t i = 1; i < len; i++) {
        pin_record_parse(span_of(bytes, i), &record);
        bool whole_lines = bytes[i - 1] == '\n' && record.has_salt;
        assert_true(whole_lines || (record.tokens_n == 1 && record.tokens[0].cut == 1));
    }
}

static void test_parse_damaged_record_leaves_one_try(void **state)
{
    (void)state;
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = write_good(bytes);
    struct pin_record record;
    bytes[20] ^= 0x80;
    pin_record_parse(span_of(bytes, len), &record);
    assert_string_equal(record.tokens[0].serial, "*");
    struct pin_try try = try_of(SERIAL);
    assert_int_equal(pin_record_begin(&record, &try), PIN_TRY);
    assert_int_equal(pin_record_begin(&record, &try), PIN_STOP_CUT);
    /* For each token that comes, until a login succeeds. */
    struct pin_try other = try_of("other");
    assert_int_equal(pin_record_begin(&record, &other), PIN_TRY);
    pin_record_end(&record, &other, PIN_ANSWER_GOOD, &other.flags);
    struct pin_try third = try_of("third");
    assert_int_equal(pin_record_begin(&record, &third), PIN_TRY);
    assert_int_equal(pin_record_begin(&record, &third), PIN_TRY);
}

/* Every field at its limit, and as many lines as there may be. */
static struct pin_record full_record(void)
{
    struct pin_record record = {
        .has_salt = true, .tokens_n = PIN_RECORD_TOKENS, .failed_n = PIN_RECORD_FAILED};
    const struct pin_source far = {.known = true,
                                   .inode = INT64_MAX / 10,
                                   .changed_s = INT64_MAX / 10,
                                   .changed_ns = 999999999};
    memset(record.salt, 0x5a, sizeof(record.salt));
    for (unsigned i = 0; i < PIN_RECORD_TOKENS; i++) {
        record.tokens[i] = (struct pin_token){.serial = SERIAL,
                                              .reports = i % 2 == 0,
                                              .known = true,
                                              .any_length = true,
                                              .pending = true,
                                              .cut = UINT32_MAX,
                                              .errors = UINT32_MAX,
                                              .last_s = INT64_MAX / 10,
                                              .good = far};
    }
    for (unsigned i = 0; i < PIN_RECORD_FAILED; i++) {
        record.failed[i] = (struct pin_failed){.serial = SERIAL, .has_hash = i > 0, .source = far};
    }
    (void)snprintf(record.tokens[0].serial, sizeof(record.tokens[0].serial), "*");
    (void)snprintf(record.tokens[1].serial, sizeof(record.tokens[1].serial), "ab cd");
    record.tokens[2].serial[0] = '\0';
    record.tokens[3].good = (struct pin_source){0};
    return record;
}

static void test_parse_inverts_write(void **state)
{
    (void)state;
    struct pin_record record = full_record();
    struct pin_record again;
    uint8_t bytes[PIN_RECORD_BYTES];
    uint8_t second[PIN_RECORD_BYTES];
    size_t len = 0;
    size_t second_len = 0;
    assert_ok(pin_record_write(&record, span_mut_of(bytes, sizeof(bytes)), &len));
    pin_record_parse(span_of(bytes, len), &again);
    assert_int_equal(again.tokens_n, PIN_RECORD_TOKENS);
    assert_int_equal(again.failed_n, PIN_RECORD_FAILED);
    assert_true(pin_source_equal(&again.tokens[1].good, &record.tokens[1].good));
    assert_false(again.tokens[3].good.known);
    assert_false(again.failed[0].has_hash);
    assert_ok(pin_record_write(&again, span_mut_of(second, sizeof(second)), &second_len));
    assert_int_equal(len, second_len);
    assert_memory_equal(bytes, second, len);
    assert_fails(pin_record_write(&record, span_mut_of(bytes, len - 1), &len), E_LIMIT);
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
    assert_int_equal(record.tokens_n, 1);
    assert_string_equal(record.tokens[0].serial, "other");
    assert_true(record.tokens[0].known);
    assert_false(record.tokens[0].good.known);
    assert_int_equal(record.tokens[0].cut, 1);
    assert_int_equal(record.tokens[0].errors, 3);
    assert_int_equal(record.tokens[0].last_s, 17);
    assert_int_equal(record.failed_n, 1);
    assert_ok(pin_record_write(&record, span_mut_of(bytes, PIN_RECORD_BYTES), &len));
    assert_null(strstr((const char *)bytes, HEX_A));
    assert_non_null(strstr((const char *)bytes, HEX_B));
    assert_non_null(strstr((const char *)bytes, "salt=00112233445566778899aabbccddeeff"));
}

static void test_parse_form_1_remembers_what_stopped_a_value(void **state)
{
    (void)state;
    uint8_t hash[PIN_RECORD_HASH];
    memset(hash, 0xbb, sizeof(hash));
    struct pin_try try = try_of("other");
    struct pin_record record = parsed(OLD "entry=" OTHER " failed " HEX_B " 0 0 0\n");
    assert_true(pin_record_needs_hash(&record, "other", &source));
    try.hash = hash;
    assert_int_equal(pin_record_begin(&record, &try), PIN_STOP_FAILED);
    try.hash = NULL;
    record = parsed(OLD "entry=" OTHER " intent2 " HEX_A " 0 0 0\n");
    assert_int_equal(pin_record_begin(&record, &try), PIN_STOP_CUT);
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
        cmocka_unit_test(test_parse_cut_record_reads_as_a_cut_login_for_anything),
        cmocka_unit_test(test_parse_damaged_record_leaves_one_try),
        cmocka_unit_test(test_parse_inverts_write),
        cmocka_unit_test(test_parse_form_1_keeps_no_hash_but_of_failed_values),
        cmocka_unit_test(test_parse_form_1_remembers_what_stopped_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
