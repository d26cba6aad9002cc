/* What a KEK must be, and what the module is asked with each byte: a fake one, real AES-GCM. */
#include "pkcs11/audit.h"

#include <string.h>

#include "pkcs11/wrap_aes.h"
#include "pkcs11/wrap_gcm.h"
#include "tests/kit/fake_module.h"
#include "tests/kit/unit.h"
#include "token/ipc.h"

static struct session session;
static struct fake_object *object;
static struct wrap_kek kek;

static int set_up(void **state)
{
    (void)state;
    fake_module_reset();
    object = fake_module_key("", 7);
    kek = (struct wrap_kek){.scheme = &wrap_gcm, .handles = {object->handle}};
    session = (struct session){.module = &fake_module, .token = &fake_token};
    return failed(session_open(&session, false)) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    session_close(&session);
    return 0;
}

static void test_attributes_of_a_kek_are_fine(void **state)
{
    (void)state;
    struct audit audit = {.bad = 1};
    assert_ok(audit_attributes(&session, &kek, &audit));
    assert_int_equal(audit.bad, 0);
    assert_int_equal(audit.not_reported, 0);
}

static void test_attributes_each_that_is_the_other_way_round_is_bad(void **state)
{
    (void)state;
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_PRIVATE,
                                              CKA_SENSITIVE,
                                              CKA_ALWAYS_SENSITIVE,
                                              CKA_NEVER_EXTRACTABLE,
                                              CKA_LOCAL,
                                              CKA_ENCRYPT,
                                              CKA_DECRYPT,
                                              CKA_SIGN,
                                              CKA_VERIFY,
                                              CKA_EXTRACTABLE,
                                              CKA_WRAP,
                                              CKA_UNWRAP,
                                              CKA_DERIVE,
                                              CKA_MODIFIABLE};
    static const uint32_t bits[] = {IPC_ATTR_PRIVATE,
                                    IPC_ATTR_SENSITIVE,
                                    IPC_ATTR_ALWAYS_SENSITIVE,
                                    IPC_ATTR_NEVER_EXTRACTABLE,
                                    IPC_ATTR_LOCAL,
                                    IPC_ATTR_ENCRYPT,
                                    IPC_ATTR_DECRYPT,
                                    IPC_ATTR_SIGN,
                                    IPC_ATTR_VERIFY,
                                    IPC_ATTR_EXTRACTABLE,
                                    IPC_ATTR_WRAP,
                                    IPC_ATTR_UNWRAP,
                                    IPC_ATTR_DERIVE,
                                    IPC_ATTR_MODIFIABLE};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct audit audit;
        object->odd = types[i];
        object->unknown = 0;
        assert_ok(audit_attributes(&session, &kek, &audit));
        assert_int_equal(audit.bad, bits[i]);
        object->unknown = types[i];
        assert_ok(audit_attributes(&session, &kek, &audit));
        assert_int_equal(audit.bad, 0);
        assert_int_equal(audit.not_reported, bits[i]);
    }
}

static void test_attributes_value_of_another_length_is_bad(void **state)
{
    (void)state;
    static const CK_ULONG lens[] = {0, 16, 24, 31, 33};
    struct audit audit;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        object->value_len = lens[i];
        assert_ok(audit_attributes(&session, &kek, &audit));
        assert_int_equal(audit.bad, IPC_ATTR_VALUE);
    }
    object->unknown = CKA_VALUE_LEN;
    assert_ok(audit_attributes(&session, &kek, &audit));
    assert_int_equal(audit.not_reported, IPC_ATTR_VALUE);
}

/* A KEK of two objects is as good as the worse of them. */
static void test_attributes_of_every_object_count(void **state)
{
    (void)state;
    static const struct wrap_rule rules[] = {{CKA_SIGN, IPC_ATTR_SIGN, true, true}};
    static const struct wrap_object signing = {.rules = rules, .rules_n = 1};
    static const struct wrap_scheme both = {.objects_n = 2, .objects = {&wrap_aes_key, &signing}};
    struct fake_object *other = fake_module_key("", 7);
    const struct wrap_kek two = {.scheme = &both, .handles = {object->handle, other->handle}};
    struct audit audit;
    other->odd = CKA_SIGN;
    assert_ok(audit_attributes(&session, &two, &audit));
    assert_int_equal(audit.bad, 0);
    other->odd = 0;
    assert_ok(audit_attributes(&session, &two, &audit));
    assert_int_equal(audit.bad, IPC_ATTR_SIGN);
}

static void test_aad_that_is_bound_is_fine_and_one_that_is_not_is_bad(void **state)
{
    (void)state;
    struct audit audit = {0};
    struct canary canary;
    assert_ok(audit_aad(&session, &kek, &audit, &canary));
    assert_int_equal(audit.bad, 0);
    assert_int_equal(canary.refusal, CKR_ENCRYPTED_DATA_INVALID);
    fake_module_order("C_EncryptInit no-aad\nC_DecryptInit no-aad\n");
    assert_ok(audit_aad(&session, &kek, &audit, &canary));
    assert_int_equal(audit.bad, IPC_ATTR_AAD);
}

static void test_aad_probe_that_opens_to_something_else_finds_nothing_out(void **state)
{
    (void)state;
    struct audit audit = {0};
    struct canary canary;
    fake_module_order("C_Decrypt wrong\n");
    assert_fails(audit_aad(&session, &kek, &audit, &canary), E_CRYPTO);
}

static void test_wrap_opens_again_and_is_never_the_same(void **state)
{
    (void)state;
    uint8_t wrapped[2][64];
    uint8_t out[64];
    size_t len = 0;
    struct span aad = span_of("aad", 3);
    for (int i = 0; i < 2; i++) {
        assert_ok(wrap_gcm.wrap(&session, &kek, aad, span_of("0123456789", 10),
                                span_mut_of(wrapped[i], 64), &len));
        assert_int_equal(len, 10 + WRAP_GCM_OVERHEAD);
        assert_ok(wrap_gcm.unwrap(&session, &kek, aad, span_of(wrapped[i], len),
                                  span_mut_of(out, 64), &len));
        assert_int_equal(len, 10);
        assert_memory_equal(out, "0123456789", 10);
    }
    assert_memory_not_equal(wrapped[0] + 1, wrapped[1] + 1, 12);
    assert_fails(wrap_gcm.unwrap(&session, &kek, span_of("aae", 3), span_of(wrapped[0], 39),
                                 span_mut_of(out, 64), &len),
                 E_TOKEN);
}

/* What it wrapped could not be opened: the envelope would hold our IV. */
static void test_wrap_with_an_iv_of_the_tokens_own_is_refused(void **state)
{
    (void)state;
    uint8_t wrapped[64];
    size_t len = 0;
    fake_module_order("C_EncryptInit own-iv\n");
    assert_fails(wrap_gcm.wrap(&session, &kek, span_of("a", 1), span_of("b", 1),
                               span_mut_of(wrapped, 64), &len),
                 E_UNSUPPORTED);
}

static void test_wrap_and_unwrap_that_fail_leave_nothing_behind(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    uint8_t wrapped[64];
    uint8_t out[64];
    size_t len = 0;
    assert_ok(wrap_gcm.wrap(&session, &kek, span_of("a", 1), span_of("secret", 6),
                            span_mut_of(wrapped, 64), &len));
    fake_module_order("C_Encrypt late-rv 0x30\nC_Decrypt late-rv 0x40\n");
    memset(out, 0, sizeof(out));
    assert_fails(wrap_gcm.unwrap(&session, &kek, span_of("a", 1), span_of(wrapped, len),
                                 span_mut_of(out, 64), &len),
                 E_TOKEN);
    assert_memory_equal(out, zeros, sizeof(out));
    assert_fails(wrap_gcm.wrap(&session, &kek, span_of("a", 1), span_of("secret", 6),
                               span_mut_of(out, 64), &len),
                 E_TOKEN);
    assert_memory_equal(out, zeros, sizeof(out));
}

static void test_wrap_size_limits_hold_at_and_past(void **state)
{
    (void)state;
    static const uint8_t data[WRAP_GCM_DATA_MAX + 1];
    uint8_t room[WRAP_GCM_DATA_MAX + WRAP_GCM_OVERHEAD + 1];
    struct span aad = span_of("a", 1);
    size_t len = 0;
    assert_fails(wrap_gcm.wrap(&session, &kek, aad, span_of(data, 0), span_mut_of(room, 64), &len),
                 E_LIMIT);
    assert_fails(wrap_gcm.wrap(&session, &kek, aad, span_of(data, 10), span_mut_of(room, 38), &len),
                 E_LIMIT);
    assert_ok(wrap_gcm.wrap(&session, &kek, aad, span_of(data, 10), span_mut_of(room, 39), &len));
    assert_ok(wrap_gcm.wrap(&session, &kek, aad, span_of(data, 1024),
                            span_mut_of(room, sizeof(room)), &len));
    assert_fails(wrap_gcm.wrap(&session, &kek, aad, span_of(data, 1025),
                               span_mut_of(room, sizeof(room)), &len),
                 E_LIMIT);
}

#define AUDIT_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_TEST(test_attributes_of_a_kek_are_fine),
        AUDIT_TEST(test_attributes_each_that_is_the_other_way_round_is_bad),
        AUDIT_TEST(test_attributes_value_of_another_length_is_bad),
        AUDIT_TEST(test_attributes_of_every_object_count),
        AUDIT_TEST(test_aad_that_is_bound_is_fine_and_one_that_is_not_is_bad),
        AUDIT_TEST(test_aad_probe_that_opens_to_something_else_finds_nothing_out),
        AUDIT_TEST(test_wrap_opens_again_and_is_never_the_same),
        AUDIT_TEST(test_wrap_with_an_iv_of_the_tokens_own_is_refused),
        AUDIT_TEST(test_wrap_and_unwrap_that_fail_leave_nothing_behind),
        AUDIT_TEST(test_wrap_size_limits_hold_at_and_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
