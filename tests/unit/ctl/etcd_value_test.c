#include "ctl/etcd_value.h"

#include <stdio.h>
#include <string.h>

#include "keys/envelope.h"
#include "tests/kit/unit.h"

#define BYTES(text_) span_of(text_, sizeof(text_) - 1)

static void test_parse_v1_splits_dek_and_object(void **state)
{
    (void)state;
    struct etcd_value value;
    assert_ok(etcd_value_parse(BYTES("k8s:enc:kms:v1:p11:\x00\x03"
                                     "DEKobject"),
                               &value));
    assert_int_equal(value.api, ENVELOPE_V1);
    assert_true(span_equal(value.name, span_of_text("p11")));
    assert_true(span_equal(value.envelope, span_of_text("DEK")));
    assert_true(span_equal(value.object, span_of_text("object")));
}

static void test_parse_v1_length_at_the_end_passes_and_one_past_is_refused(void **state)
{
    (void)state;
    struct etcd_value value;
    assert_ok(etcd_value_parse(BYTES("k8s:enc:kms:v1:n:\x00\x03"
                                     "DEK"),
                               &value));
    assert_int_equal(value.object.len, 0);
    assert_fails(etcd_value_parse(BYTES("k8s:enc:kms:v1:n:\x00\x04"
                                        "DEK"),
                                  &value),
                 E_INVALID);
    assert_fails(etcd_value_parse(BYTES("k8s:enc:kms:v1:n:\x00"), &value), E_INVALID);
}

static void test_parse_v2_reads_every_field(void **state)
{
    (void)state;
    struct etcd_value value;
    assert_ok(etcd_value_parse(BYTES("k8s:enc:kms:v2:p11:"
                                     "\x0a\x03"
                                     "obj"
                                     "\x12\x02"
                                     "id"
                                     "\x1a\x03"
                                     "env"
                                     "\x22\x02\x0a\x00"
                                     "\x22\x00"
                                     "\x28\x01"),
                               &value));
    assert_int_equal(value.api, ENVELOPE_V2);
    assert_true(span_equal(value.object, span_of_text("obj")));
    assert_true(span_equal(value.key_id, span_of_text("id")));
    assert_true(span_equal(value.envelope, span_of_text("env")));
    assert_int_equal(value.annotations, 2);
    assert_int_equal(value.source_type, 1);
}

static void test_parse_v2_unknown_fields_of_every_type_are_passed_over(void **state)
{
    (void)state;
    struct etcd_value value;
    assert_ok(etcd_value_parse(BYTES("k8s:enc:kms:v2:p:"
                                     "\x30\x96\x01"
                                     "\x39"
                                     "12345678"
                                     "\x42\x01"
                                     "x"
                                     "\x4d"
                                     "1234"
                                     "\x1a\x01"
                                     "e"),
                               &value));
    assert_true(span_equal(value.envelope, span_of_text("e")));
}

static void test_parse_v2_broken_messages_are_refused(void **state)
{
    (void)state;
    static const struct span broken[] = {
        {(const uint8_t *)"k8s:enc:kms:v2:p:\x0a\x04"
                          "obj",
         22}, /* longer than the value */
        {(const uint8_t *)"k8s:enc:kms:v2:p:\x0a", 18},
        {(const uint8_t *)"k8s:enc:kms:v2:p:\x08\x01", 19},  /* bytes as a number */
        {(const uint8_t *)"k8s:enc:kms:v2:p:\x2a\x01x", 20}, /* a number as bytes */
        {(const uint8_t *)"k8s:enc:kms:v2:p:\x0b\x0c", 19},  /* groups */
        {(const uint8_t *)"k8s:enc:kms:v2:p:\x02\x00", 19},  /* field 0 */
        {(const uint8_t *)"k8s:enc:kms:v2:p:\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 28},
        {(const uint8_t *)"k8s:enc:kms:v2:p:\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 28},
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct etcd_value value;
        assert_fails(etcd_value_parse(broken[i], &value), E_INVALID);
    }
}

static void test_parse_other_values_are_not_found(void **state)
{
    (void)state;
    static const char *const other[] = {"", "k8s", "k8s:en", "P11K", "Secret"};
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        struct etcd_value value;
        assert_fails(etcd_value_parse(span_of_text(other[i]), &value), E_NOT_FOUND);
    }
}

static void test_parse_native_transformers_and_their_keys(void **state)
{
    (void)state;
    static const char *const names[] = {"aescbc", "aesgcm", "secretbox"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct etcd_value value;
        char text[64];
        (void)snprintf(text, sizeof(text), "k8s:enc:%s:v1:key1:object", names[i]);
        assert_ok(etcd_value_parse(span_of_text(text), &value));
        assert_int_equal(value.form, ETCD_NATIVE);
        assert_true(span_equal(value.transformer, span_of_text(names[i])));
        assert_true(span_equal(value.name, span_of_text("key1")));
        assert_true(span_equal(value.object, span_of_text("object")));
        (void)snprintf(text, sizeof(text), "k8s:enc:%s:v1:key1", names[i]);
        assert_fails(etcd_value_parse(span_of_text(text), &value), E_INVALID);
    }
}

static void test_parse_unknown_transformers_and_versions(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "k8s:enc:kms:v3:p:x", "k8s:enc:kms:", "k8s:enc:aescbc:v2:k:x", "k8s:enc:rot13:v1:x"};
    struct etcd_value value;
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_ok(etcd_value_parse(span_of_text(unknown[i]), &value));
        assert_int_equal(value.form, ETCD_UNKNOWN);
    }
    assert_fails(etcd_value_parse(span_of_text("k8s:enc:"), &value), E_INVALID);
    assert_fails(etcd_value_parse(span_of_text("k8s:enc:kms"), &value), E_INVALID);
}

static void test_parse_plain_objects(void **state)
{
    (void)state;
    struct etcd_value value;
    assert_ok(etcd_value_parse(BYTES("k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x01x"), &value));
    assert_int_equal(value.form, ETCD_PLAIN);
    assert_false(value.json);
    assert_true(span_equal(value.api_version, span_of_text("v1")));
    assert_true(span_equal(value.kind, span_of_text("Secret")));
    assert_ok(etcd_value_parse(BYTES("k8s\0\x0a\x7fx"), &value)); /* plain all the same */
    assert_int_equal(value.kind.len, 0);
    assert_ok(etcd_value_parse(BYTES("{\"kind\":\"Secret\"}"), &value));
    assert_int_equal(value.form, ETCD_PLAIN);
    assert_true(value.json);
}

static void test_parse_provider_name_is_checked(void **state)
{
    (void)state;
    char text[400] = "k8s:enc:kms:v1:";
    struct etcd_value value;
    assert_fails(etcd_value_parse(span_of_text("k8s:enc:kms:v1::"), &value), E_INVALID);
    assert_fails(etcd_value_parse(span_of_text("k8s:enc:kms:v1:abc"), &value), E_INVALID);
    assert_fails(etcd_value_parse(BYTES("k8s:enc:kms:v1:a\x1b:\x00\x00"), &value), E_INVALID);
    memset(text + 15, 'a', 253);
    memcpy(text + 15 + 253, ":\0", 3);
    assert_ok(etcd_value_parse(span_of(text, 15 + 253 + 3), &value));
    memset(text + 15, 'a', 254);
    memcpy(text + 15 + 254, ":\0", 3);
    assert_fails(etcd_value_parse(span_of(text, 15 + 254 + 3), &value), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_v1_splits_dek_and_object),
        cmocka_unit_test(test_parse_v1_length_at_the_end_passes_and_one_past_is_refused),
        cmocka_unit_test(test_parse_v2_reads_every_field),
        cmocka_unit_test(test_parse_v2_unknown_fields_of_every_type_are_passed_over),
        cmocka_unit_test(test_parse_v2_broken_messages_are_refused),
        cmocka_unit_test(test_parse_other_values_are_not_found),
        cmocka_unit_test(test_parse_native_transformers_and_their_keys),
        cmocka_unit_test(test_parse_unknown_transformers_and_versions),
        cmocka_unit_test(test_parse_plain_objects),
        cmocka_unit_test(test_parse_provider_name_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
