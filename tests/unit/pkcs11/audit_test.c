/*
 * What a KEK must be, and what the module is asked with each byte: a module of the test's own, real
 * AES-GCM in it.
 */
#include "pkcs11/audit.h"

#include <openssl/evp.h>
#include <string.h>

#include "pkcs11/find.h"
#include "pkcs11/wrap_aes.h"
#include "pkcs11/wrap_gcm.h"
#include "tests/kit/unit.h"
#include "token/ipc.h"

#define TAG   16
#define KEY   ((CK_OBJECT_HANDLE)7)
#define OTHER ((CK_OBJECT_HANDLE)8)

/* How it behaves. */
static struct {
    CK_ATTRIBUTE_TYPE odd;     /* this attribute is the other way round; 0: none */
    CK_ATTRIBUTE_TYPE unknown; /* this one it does not have */
    CK_ULONG value_len;
    bool no_aad;     /* takes the AAD and does not bind it */
    bool own_iv;     /* writes an IV of its own over the host's */
    bool other_text; /* opens to something else */
    bool fails;      /* fills the output, then fails */
    bool other_signs;
} behaves;

static struct {
    uint8_t iv[16];
    size_t iv_len;
    uint8_t aad[64];
    size_t aad_len;
    CK_ULONG tag_bits;
} init;

static bool is_yes(CK_ATTRIBUTE_TYPE type)
{
    static const CK_ATTRIBUTE_TYPE yes[] = {
        CKA_PRIVATE, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE,
        CKA_LOCAL,   CKA_ENCRYPT,   CKA_DECRYPT};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (yes[i] == type) {
            return true;
        }
    }
    return false;
}

static CK_RV get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                           CK_ATTRIBUTE_PTR attribute, CK_ULONG n)
{
    (void)session;
    if (key == OTHER) {
        assert_int_equal(attribute->type, CKA_SIGN);
        *(CK_BBOOL *)attribute->pValue = behaves.other_signs;
        return CKR_OK;
    }
    assert_int_equal(key, KEY);
    assert_int_equal(n, 1);
    if (attribute->type == behaves.unknown) {
        attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
    if (attribute->type == CKA_VALUE_LEN) {
        memcpy(attribute->pValue, &behaves.value_len, sizeof(behaves.value_len));
    } else {
        *(CK_BBOOL *)attribute->pValue =
            is_yes(attribute->type) != (attribute->type == behaves.odd);
    }
    return CKR_OK;
}

static CK_RV crypt_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
    (void)session;
    assert_int_equal(key, KEY);
    assert_int_equal(mechanism->mechanism, CKM_AES_GCM);
    CK_GCM_PARAMS *params = mechanism->pParameter;
    assert_int_equal(params->ulIvBits, 8 * params->ulIvLen);
    if (behaves.own_iv) {
        memset(params->pIv, 0x11, params->ulIvLen);
    }
    init.iv_len = params->ulIvLen;
    memcpy(init.iv, params->pIv, init.iv_len);
    init.aad_len = behaves.no_aad ? 0 : params->ulAADLen;
    memcpy(init.aad, params->pAAD, init.aad_len);
    init.tag_bits = params->ulTagBits;
    return CKR_OK;
}

/* Over in.len bytes without the tag; false when the tag is wrong. */
static bool gcm(bool encrypt, const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
    static const uint8_t value[32] = {3};
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL, encrypt), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)init.iv_len, NULL), 1);
    assert_int_equal(EVP_CipherInit_ex(ctx, NULL, NULL, value, init.iv, encrypt), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, NULL, &n, init.aad, (int)init.aad_len), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &n, in, (int)len), 1);
    if (!encrypt) {
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag), 1);
    }
    bool good = EVP_CipherFinal_ex(ctx, out + n, &n) == 1;
    if (encrypt) {
        assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, tag), 1);
    }
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

static CK_RV encrypt(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
                     CK_ULONG_PTR len)
{
    (void)session;
    assert_int_equal(init.tag_bits, 8 * TAG);
    assert_true(*len >= in_len + TAG);
    (void)gcm(true, in, in_len, out, out + in_len);
    *len = in_len + TAG;
    return behaves.fails ? CKR_DEVICE_ERROR : CKR_OK;
}

static CK_RV decrypt(CK_SESSION_HANDLE session, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
                     CK_ULONG_PTR len)
{
    (void)session;
    assert_int_equal(init.tag_bits, 8 * TAG);
    assert_true(*len >= in_len - TAG);
    bool good = gcm(false, in, in_len - TAG, out, in + in_len - TAG);
    *len = in_len - TAG;
    out[0] ^= behaves.other_text ? 1 : 0;
    return good && !behaves.fails ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID;
}

static CK_FUNCTION_LIST functions = {.C_GetAttributeValue = get_attribute,
                                     .C_EncryptInit = crypt_init,
                                     .C_DecryptInit = crypt_init,
                                     .C_Encrypt = encrypt,
                                     .C_Decrypt = decrypt};
static const struct module module = {.fn = &functions, .initialised = true};
static const struct token token = {.label = "test", .serial = "1"};
static const struct session session = {.module = &module, .token = &token, .open = true};

static const struct wrap_kek kek = {.scheme = &wrap_gcm, .handles = {KEY}};

static int set_up(void **state)
{
    (void)state;
    memset(&behaves, 0, sizeof(behaves));
    behaves.value_len = 32;
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
        behaves.odd = types[i];
        behaves.unknown = 0;
        assert_ok(audit_attributes(&session, &kek, &audit));
        assert_int_equal(audit.bad, bits[i]);
        behaves.unknown = types[i];
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
        behaves.value_len = lens[i];
        assert_ok(audit_attributes(&session, &kek, &audit));
        assert_int_equal(audit.bad, IPC_ATTR_VALUE);
    }
    behaves.unknown = CKA_VALUE_LEN;
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
    const struct wrap_kek two = {.scheme = &both, .handles = {KEY, OTHER}};
    struct audit audit;
    behaves.other_signs = true;
    assert_ok(audit_attributes(&session, &two, &audit));
    assert_int_equal(audit.bad, 0);
    behaves.other_signs = false;
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
    behaves.no_aad = true;
    assert_ok(audit_aad(&session, &kek, &audit, &canary));
    assert_int_equal(audit.bad, IPC_ATTR_AAD);
}

static void test_aad_probe_that_opens_to_something_else_finds_nothing_out(void **state)
{
    (void)state;
    struct audit audit = {0};
    struct canary canary;
    behaves.other_text = true;
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
    behaves.own_iv = true;
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
    behaves.fails = true;
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

#define AUDIT_TEST(test_) cmocka_unit_test_setup(test_, set_up)

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
