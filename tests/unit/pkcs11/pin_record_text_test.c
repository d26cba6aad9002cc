#include "pkcs11/pin_record.h"

#include <string.h>

#include "tests/kit/unit.h"

#define SERIAL "0123456789abcdef"
#define NOW    1800000000

static const struct pin_flags clean = {.readable = true};

static size_t write_good(uint8_t bytes[PIN_RECORD_BYTES])
{
    struct pin_record record = {.has_salt = true, .n = 1};
    size_t len = 0;
    record.entries[0] = (struct pin_entry){
        .serial = SERIAL, .state = PIN_GOOD, .has_hash = true, .once_good = true};
    assert_ok(pin_record_write(&record, span_mut_of(bytes, PIN_RECORD_BYTES), &len));
    return len;
}

static void test_parse_nothing_is_none(void **state)
{
    (void)state;
    struct pin_record record;
    pin_record_parse(span_of(NULL, 0), &record);
    assert_int_equal(record.n, 0);
    assert_false(pin_record_needs_hash(&record, SERIAL, &clean));
}

static void test_parse_cut_record_reads_as_an_intent_for_anything(void **state)
{
    (void)state;
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = write_good(bytes);
    struct pin_record record;
    for (size_t i = 1; i < len; i++) {
        pin_record_parse(span_of(bytes, i), &record);
        bool whole_lines = bytes[i - 1] == '\n' && record.has_salt;
        assert_true(whole_lines || pin_record_needs_hash(&record, SERIAL, &clean));
    }
}

static void test_parse_damaged_record_leaves_one_try(void **state)
{
    (void)state;
    uint8_t bytes[PIN_RECORD_BYTES];
    uint8_t hash[PIN_RECORD_HASH] = {1};
    size_t len = write_good(bytes);
    struct pin_record record;
    bytes[20] ^= 0x80;
    pin_record_parse(span_of(bytes, len), &record);
    assert_int_equal(record.n, 1);
    assert_string_equal(record.entries[0].serial, "*");
    assert_int_equal(pin_record_begin(&record, SERIAL, hash, &clean, NOW, false), PIN_TRY);
    assert_int_equal(pin_record_begin(&record, SERIAL, hash, &clean, NOW, false), PIN_STOP_CUT);
}

static void test_parse_inverts_write(void **state)
{
    (void)state;
    struct pin_record record = {.has_salt = true, .n = 3};
    struct pin_record again;
    uint8_t bytes[PIN_RECORD_BYTES];
    uint8_t second[PIN_RECORD_BYTES];
    size_t len = 0;
    size_t second_len = 0;
    memset(record.salt, 0x5a, sizeof(record.salt));
    record.entries[0] = (struct pin_entry){.serial = "*", .state = PIN_INTENT1};
    record.entries[1] = (struct pin_entry){
        .serial = "ab cd", .state = PIN_FAILED, .has_hash = true, .restores = 5, .restored_s = NOW};
    record.entries[2] = (struct pin_entry){
        .serial = "", .state = PIN_GOOD, .has_hash = true, .once_good = true};
    assert_ok(pin_record_write(&record, span_mut_of(bytes, sizeof(bytes)), &len));
    pin_record_parse(span_of(bytes, len), &again);
    assert_ok(pin_record_write(&again, span_mut_of(second, sizeof(second)), &second_len));
    assert_int_equal(len, second_len);
    assert_memory_equal(bytes, second, len);
    assert_fails(pin_record_write(&record, span_mut_of(bytes, len - 1), &len), E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_nothing_is_none),
        cmocka_unit_test(test_parse_cut_record_reads_as_an_intent_for_anything),
        cmocka_unit_test(test_parse_damaged_record_leaves_one_try),
        cmocka_unit_test(test_parse_inverts_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
