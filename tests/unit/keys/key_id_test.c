#include "keys/key_id.h"

#include <string.h>

#include "tests/kit/unit.h"

#define GOLDEN "p11-kms/1/e085e94211adb6854e646fbf013ea993/6923b2d4"

/* What Python's hashlib says of the same inputs. */
static const uint8_t golden_realm[ENVELOPE_REALM] = {
    0x69, 0x68, 0x7e, 0x55, 0x2f, 0xee, 0x1a, 0x5e, 0xb2, 0xd6, 0x29, 0x93, 0x5e, 0x99, 0x95, 0xa6};
static const uint8_t golden_kek_id[KEK_ID_LEN] = {0xe0, 0x85, 0xe9, 0x42, 0x11, 0xad, 0xb6, 0x85,
                                                  0x4e, 0x64, 0x6f, 0xbf, 0x01, 0x3e, 0xa9, 0x93};

static void test_realm_equals_the_hash_of_label_and_ring(void **state)
{
    (void)state;
    uint8_t realm[ENVELOPE_REALM];
    assert_ok(key_id_realm("golden", realm));
    assert_memory_equal(realm, golden_realm, sizeof(realm));
}

static void test_realm_ring_too_long_is_refused(void **state)
{
    (void)state;
    char ring[1000];
    uint8_t realm[ENVELOPE_REALM];
    memset(ring, 'r', sizeof(ring) - 1);
    ring[sizeof(ring) - 1] = '\0';
    assert_fails(key_id_realm(ring, realm), E_INVALID);
}

static void test_kek_equals_the_hash_of_its_parts(void **state)
{
    (void)state;
    static const uint8_t fingerprint[] = {0x4d, 0x18, 0x0b, 0xf7, 0xde, 0xa4, 0x11, 0x79,
                                          0xe1, 0xbf, 0x40, 0x62, 0x43, 0x8e, 0x0a, 0x7f};
    uint8_t id[16];
    uint8_t kek_id[KEK_ID_LEN];
    for (size_t i = 0; i < sizeof(id); i++) {
        id[i] = (uint8_t)(0xc0 + i);
    }
    assert_ok(
        key_id_kek(1, span_of(id, sizeof(id)), span_of(fingerprint, sizeof(fingerprint)), kek_id));
    assert_memory_equal(kek_id, golden_kek_id, sizeof(kek_id));
}

static void test_kek_cka_id_limits_hold_at_and_past(void **state)
{
    (void)state;
    uint8_t id[256] = {1};
    uint8_t kek_id[KEK_ID_LEN];
    struct span fingerprint = span_of_text("0123456789abcdef");
    assert_fails(key_id_kek(1, span_of(id, 0), fingerprint, kek_id), E_INVALID);
    assert_ok(key_id_kek(1, span_of(id, 1), fingerprint, kek_id));
    assert_ok(key_id_kek(1, span_of(id, 255), fingerprint, kek_id));
    assert_fails(key_id_kek(1, span_of(id, 256), fingerprint, kek_id), E_INVALID);
}

static void test_kek_border_between_id_and_fingerprint_counts(void **state)
{
    (void)state;
    uint8_t a[KEK_ID_LEN];
    uint8_t b[KEK_ID_LEN];
    uint8_t c[KEK_ID_LEN];
    assert_ok(key_id_kek(1, span_of_text("ab"), span_of_text("cd"), a));
    assert_ok(key_id_kek(1, span_of_text("abc"), span_of_text("d"), b));
    assert_ok(key_id_kek(2, span_of_text("ab"), span_of_text("cd"), c));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a, c, sizeof(a));
}

static void test_text_is_what_kubernetes_sees(void **state)
{
    (void)state;
    char text[KEY_ID_TEXT_LEN + 1];
    key_id_text(golden_kek_id, 0x6923b2d4, text);
    assert_string_equal(text, GOLDEN);
    key_id_text(golden_kek_id, 0, text);
    assert_int_equal(strlen(text), KEY_ID_TEXT_LEN);
    assert_string_equal(text + 43, "00000000");
}

static void test_parse_returns_what_text_wrote(void **state)
{
    (void)state;
    uint8_t kek_id[KEK_ID_LEN];
    uint32_t activation = 0;
    assert_ok(key_id_parse(span_of_text(GOLDEN), kek_id, &activation));
    assert_memory_equal(kek_id, golden_kek_id, sizeof(kek_id));
    assert_int_equal(activation, 0x6923b2d4);
}

static void test_parse_any_other_spelling_is_refused(void **state)
{
    (void)state;
    uint8_t kek_id[KEK_ID_LEN];
    uint32_t activation = 7;
    for (size_t i = 0; i < KEY_ID_TEXT_LEN; i++) {
        char text[] = GOLDEN;
        text[i] = 'X';
        assert_fails(key_id_parse(span_of_text(text), kek_id, &activation), E_INVALID);
        assert_fails(key_id_parse(span_of(GOLDEN, i), kek_id, &activation), E_INVALID);
    }
    assert_fails(key_id_parse(span_of_text(GOLDEN "0"), kek_id, &activation), E_INVALID);
    assert_fails(key_id_parse(span_of_text("p11-kms/1/E085E94211ADB6854E646FBF013EA993/6923b2d4"),
                              kek_id, &activation),
                 E_INVALID);
    assert_int_equal(activation, 7);
}

static void test_matches_only_the_exact_text(void **state)
{
    (void)state;
    assert_true(key_id_matches(span_of_text(GOLDEN), golden_kek_id, 0x6923b2d4));
    assert_false(key_id_matches(span_of_text(GOLDEN), golden_kek_id, 0x6923b2d5));
    assert_false(key_id_matches(span_of_text(GOLDEN), golden_realm, 0x6923b2d4));
    assert_false(key_id_matches(span_of(GOLDEN, KEY_ID_TEXT_LEN - 1), golden_kek_id, 0x6923b2d4));
    assert_false(key_id_matches(span_of(GOLDEN, sizeof(GOLDEN)), golden_kek_id, 0x6923b2d4));
    assert_false(key_id_matches(span_of_text(""), golden_kek_id, 0x6923b2d4));
}

/* The digits are those of: printf %s "$KEY_ID" | sha256sum */
static void test_hash_is_what_the_api_server_shows(void **state)
{
    (void)state;
    char text[KEY_ID_HASH_LEN + 1];
    assert_ok(key_id_hash(span_of_text(GOLDEN), text));
    assert_string_equal(text,
                        "sha256:906ea81c1fc9463b953ca08042f7a6fccc11f081afc5fd7dd77b07f3ff28ebb5");
    assert_ok(key_id_hash(span_of_text(""), text));
    assert_string_equal(text,
                        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_hex_of_nothing_is_empty(void **state)
{
    (void)state;
    char text[5] = "x";
    key_id_hex(span_of("", 0), text);
    assert_string_equal(text, "");
    key_id_hex(span_of("\x0f\xf0", 2), text);
    assert_string_equal(text, "0ff0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_realm_equals_the_hash_of_label_and_ring),
        cmocka_unit_test(test_realm_ring_too_long_is_refused),
        cmocka_unit_test(test_kek_equals_the_hash_of_its_parts),
        cmocka_unit_test(test_kek_cka_id_limits_hold_at_and_past),
        cmocka_unit_test(test_kek_border_between_id_and_fingerprint_counts),
        cmocka_unit_test(test_text_is_what_kubernetes_sees),
        cmocka_unit_test(test_parse_returns_what_text_wrote),
        cmocka_unit_test(test_parse_any_other_spelling_is_refused),
        cmocka_unit_test(test_matches_only_the_exact_text),
        cmocka_unit_test(test_hash_is_what_the_api_server_shows),
        cmocka_unit_test(test_hex_of_nothing_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
