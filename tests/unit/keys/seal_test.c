#include "keys/seal.h"

#include <openssl/evp.h>
#include <string.h>

#include "tests/kit/unit.h"
#include "tests/unit/keys/sample.h"

struct made {
    uint8_t at[ENVELOPE_MAX];
    size_t len;
};

static struct seal *seal;

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front)) || failed(secret_serve_crypto(false)) ? -1 : 0;
}

static int begin(void **state)
{
    (void)state;
    return failed(seal_new(&seal)) ? -1 : 0;
}

/* Nothing stays behind, in any part. */
static int end(void **state)
{
    (void)state;
    seal_free(seal);
    for (int part = SECRET_SEED; part < SECRET_CRYPTO; part++) {
        if (secret_in_use((enum secret_part)part) != 0) {
            return -1;
        }
    }
    return secret_free_space_is_zero() ? 0 : -1;
}

static struct made make(const struct sample *sample, uint8_t api, struct span plaintext)
{
    struct made made;
    const struct seal_seed seed = sample_seed(sample);
    assert_ok(
        seal_make(seal, &seed, api, plaintext, span_mut_of(made.at, sizeof(made.at)), &made.len));
    return made;
}

static enum err_code open_made(const struct sample *sample, const struct made *made)
{
    uint8_t out[ENVELOPE_PLAIN_MAX];
    size_t len = 0;
    return soft_kek_open(&sample->kek, seal, span_of(made->at, made->len),
                         span_mut_of(out, sizeof(out)), &len)
        .code;
}

static void test_make_then_open_returns_the_plaintext(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4, 31, 32, 33, 511, 512};
    static const uint8_t iv_lens[] = {12, 16};
    uint8_t plain[ENVELOPE_PLAIN_MAX];
    memset(plain, 0x37, sizeof(plain));
    for (size_t i = 0; i < 14; i++) {
        struct sample sample;
        assert_ok(sample_init(&sample, iv_lens[i % 2]));
        size_t n = sizes[i / 2];
        struct made made = make(&sample, (uint8_t)(1 + i % 2), span_of(plain, n));
        assert_int_equal(made.len, 50 + sample.wrapped_len + 32 + 32 + 12 + n + 16);
        uint8_t out[ENVELOPE_PLAIN_MAX];
        size_t len = 0;
        assert_ok(soft_kek_open(&sample.kek, seal, span_of(made.at, made.len),
                                span_mut_of(out, sizeof(out)), &len));
        assert_int_equal(len, n);
        assert_memory_equal(out, plain, n);
    }
}

static void test_open_every_flipped_bit_is_refused(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct made made = make(&sample, ENVELOPE_V2, span_of("0123456789abcdef0123456789abcdef", 32));
    for (size_t bit = 0; bit < made.len * 8; bit++) {
        made.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(open_made(&sample, &made), E_NONE);
        made.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(open_made(&sample, &made), E_NONE);
}

static void test_open_every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 16));
    struct made made = make(&sample, ENVELOPE_V1, span_of("0123456789abcdef0123456789abcdef", 32));
    size_t len = made.len;
    for (made.len = 0; made.len < len; made.len++) {
        assert_int_not_equal(open_made(&sample, &made), E_NONE);
    }
    for (made.len = len + 1; made.len <= sizeof(made.at); made.len += 13) {
        assert_int_not_equal(open_made(&sample, &made), E_NONE);
    }
}

/*
 * The seed alone is right here: derivation, commitment and tag must notice without the token's
 * help.
 */
static void test_open_flipped_bit_is_noticed_without_the_kek(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct made made = make(&sample, ENVELOPE_V2, span_of("secret", 6));
    for (size_t bit = 0; bit < made.len * 8; bit++) {
        struct envelope e;
        uint8_t derived[SEAL_DERIVED_LEN];
        uint8_t out[ENVELOPE_PLAIN_MAX];
        size_t len = 0;
        made.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (!failed(envelope_parse(span_of(made.at, made.len), &e))) {
            assert_ok(
                seal_derive(seal, &e, span_of(sample.seed, SEED_LEN), span_mut_of(derived, 64)));
            assert_fails(seal_open(seal, &e, span_of(derived, 64), span_mut_of(out, 512), &len),
                         E_CRYPTO);
        }
        made.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/*
 * A cached derivation belongs to one envelope: each of its other bytes is still bound by the tag.
 */
static void test_open_with_the_right_keys_refuses_a_changed_head_salt_iv_and_tag(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct made made = make(&sample, ENVELOPE_V2, span_of("secret", 6));
    struct envelope e;
    uint8_t derived[SEAL_DERIVED_LEN];
    assert_ok(envelope_parse(span_of(made.at, made.len), &e));
    assert_ok(seal_derive(seal, &e, span_of(sample.seed, SEED_LEN), span_mut_of(derived, 64)));
    for (size_t bit = 0; bit < made.len * 8; bit++) {
        uint8_t out[ENVELOPE_PLAIN_MAX] = {0xee};
        size_t len = 0;
        made.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct envelope changed;
        if (!failed(envelope_parse(span_of(made.at, made.len), &changed))) {
            assert_fails(
                seal_open(seal, &changed, span_of(derived, 64), span_mut_of(out, 512), &len),
                E_CRYPTO);
            assert_int_equal(out[0], 0);
        }
        made.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_open_relabelled_to_the_other_api_is_refused(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct made made = make(&sample, ENVELOPE_V2, span_of("secret", 6));
    struct envelope e;
    uint8_t derived[SEAL_DERIVED_LEN];
    assert_ok(envelope_parse(span_of(made.at, made.len), &e));
    assert_ok(seal_derive(seal, &e, span_of(sample.seed, SEED_LEN), span_mut_of(derived, 64)));
    made.at[7] = ENVELOPE_V1;
    assert_int_equal(open_made(&sample, &made), E_CRYPTO);
    uint8_t out[ENVELOPE_PLAIN_MAX];
    size_t len = 0;
    assert_ok(envelope_parse(span_of(made.at, made.len), &e));
    assert_fails(seal_open(seal, &e, span_of(derived, 64), span_mut_of(out, 512), &len), E_CRYPTO);
}

/* Head and wrapped seed cut out and relabelled "direct": the answer would be the seed itself. */
static void test_open_relabelled_direct_is_refused(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct made made = make(&sample, ENVELOPE_V2, span_of("secret", 6));
    made.at[5] = ENVELOPE_DIRECT;
    assert_int_equal(open_made(&sample, &made), E_INVALID);
    memset(made.at + 44, 0, 4);
    assert_int_equal(open_made(&sample, &made), E_INVALID);
    made.len = ENVELOPE_HEAD + sample.wrapped_len;
    struct envelope e;
    assert_ok(envelope_parse(span_of(made.at, made.len), &e));
    assert_int_equal(open_made(&sample, &made), E_CRYPTO);
}

static void test_suite_2_is_not_served(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct seal_seed seed = sample_seed(&sample);
    struct envelope_head direct = sample.head;
    direct.suite = ENVELOPE_DIRECT;
    direct.born = 0;
    seed.head = &direct;
    uint8_t out[ENVELOPE_MAX];
    uint8_t derived[SEAL_DERIVED_LEN] = {0};
    size_t len = 0;
    assert_fails(seal_make(seal, &seed, 2, span_of("x", 1), span_mut_of(out, sizeof(out)), &len),
                 E_INVALID);
    struct envelope e = {.head = direct};
    assert_fails(seal_derive(seal, &e, seed.seed, span_mut_of(derived, 64)), E_CRYPTO);
    assert_fails(seal_open(seal, &e, span_of(derived, 64), span_mut_of(out, 512), &len), E_CRYPTO);
}

static void test_make_plaintext_limits_hold_at_and_past(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    const struct seal_seed seed = sample_seed(&sample);
    uint8_t plain[513] = {0};
    uint8_t out[ENVELOPE_MAX];
    size_t len = 77;
    assert_fails(seal_make(seal, &seed, 2, span_of(plain, 0), span_mut_of(out, 1024), &len),
                 E_INVALID);
    assert_fails(seal_make(seal, &seed, 2, span_of(plain, 513), span_mut_of(out, 1024), &len),
                 E_INVALID);
    assert_int_equal(len, 77);
    assert_ok(seal_make(seal, &seed, 2, span_of(plain, 1), span_mut_of(out, 1024), &len));
    assert_ok(seal_make(seal, &seed, 2, span_of(plain, 512), span_mut_of(out, 1024), &len));
}

static void test_make_room_limits_hold_at_and_past(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    const struct seal_seed seed = sample_seed(&sample);
    uint8_t out[ENVELOPE_MAX];
    size_t need = 50 + 61 + 32 + 32 + 12 + 10 + 16;
    size_t len = 77;
    assert_fails(
        seal_make(seal, &seed, 2, span_of("0123456789", 10), span_mut_of(out, need - 1), &len),
        E_LIMIT);
    assert_int_equal(len, 77);
    assert_ok(seal_make(seal, &seed, 2, span_of("0123456789", 10), span_mut_of(out, need), &len));
    assert_int_equal(len, need);
}

static void test_make_never_writes_what_it_could_not_read(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct seal_seed seed = sample_seed(&sample);
    uint8_t out[2 * ENVELOPE_MAX];
    size_t len = 0;
    assert_fails(seal_make(seal, &seed, 0, span_of("x", 1), span_mut_of(out, 1024), &len),
                 E_INVALID);
    assert_fails(seal_make(seal, &seed, 3, span_of("x", 1), span_mut_of(out, 1024), &len),
                 E_INVALID);
    seed.wrapped.len = 60;
    assert_fails(seal_make(seal, &seed, 2, span_of("x", 1), span_mut_of(out, 1024), &len),
                 E_INVALID);
    uint8_t plain[512] = {0};
    seed.wrapped = span_of(sample.wrapped, 500);
    assert_fails(
        seal_make(seal, &seed, 2, span_of(plain, 512), span_mut_of(out, sizeof(out)), &len),
        E_LIMIT);
}

static void test_open_room_limits_hold_at_and_past(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct made made = make(&sample, ENVELOPE_V2, span_of("0123456789", 10));
    struct envelope e;
    uint8_t derived[SEAL_DERIVED_LEN];
    uint8_t out[10];
    size_t len = 77;
    assert_ok(envelope_parse(span_of(made.at, made.len), &e));
    assert_ok(seal_derive(seal, &e, span_of(sample.seed, SEED_LEN), span_mut_of(derived, 64)));
    assert_fails(seal_open(seal, &e, span_of(derived, 64), span_mut_of(out, 9), &len), E_LIMIT);
    assert_int_equal(len, 77);
    assert_ok(seal_open(seal, &e, span_of(derived, 64), span_mut_of(out, 10), &len));
    assert_memory_equal(out, "0123456789", 10);
    uint8_t longer[SEAL_DERIVED_LEN + 1];
    memcpy(longer, derived, sizeof(derived));
    assert_fails(seal_open(seal, &e, span_of(longer, 63), span_mut_of(out, 10), &len), E_CRYPTO);
    assert_fails(seal_open(seal, &e, span_of(longer, 65), span_mut_of(out, 10), &len), E_CRYPTO);
}

static void test_derive_wrong_seed_or_room_length_is_a_bug(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct made made = make(&sample, ENVELOPE_V2, span_of("x", 1));
    struct envelope e;
    uint8_t derived[SEAL_DERIVED_LEN];
    assert_ok(envelope_parse(span_of(made.at, made.len), &e));
    assert_fails(seal_derive(seal, &e, span_of(sample.seed, 31), span_mut_of(derived, 64)), E_BUG);
    assert_fails(seal_derive(seal, &e, span_of(sample.seed, 32), span_mut_of(derived, 63)), E_BUG);
}

static void test_make_same_plaintext_twice_shares_nothing_random(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct envelope e[2];
    struct made made[2];
    for (int i = 0; i < 2; i++) {
        made[i] = make(&sample, ENVELOPE_V2, span_of("same", 4));
        assert_ok(envelope_parse(span_of(made[i].at, made[i].len), &e[i]));
    }
    assert_false(span_equal(e[0].salt, e[1].salt));
    assert_false(span_equal(e[0].commitment, e[1].commitment));
    assert_false(span_equal(e[0].iv, e[1].iv));
    assert_false(span_equal(e[0].ciphertext, e[1].ciphertext));
}

static void test_seed_key_is_the_hash_of_aad_and_wrapped_for_both_apis(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    struct span wrapped = span_of(sample.wrapped, sample.wrapped_len);
    uint8_t bytes[ENVELOPE_WRAP_AAD + 61];
    uint8_t expected[32];
    uint8_t v1[32];
    uint8_t v2[32];
    envelope_wrap_aad(&sample.head, bytes);
    memcpy(bytes + ENVELOPE_WRAP_AAD, wrapped.ptr, 61);
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, bytes, sizeof(bytes), expected, NULL), 1);
    assert_ok(seal_seed_key(seal, &sample.head, wrapped, v2));
    sample.head.api = ENVELOPE_V1;
    assert_ok(seal_seed_key(seal, &sample.head, wrapped, v1));
    assert_memory_equal(v2, expected, 32);
    assert_memory_equal(v1, expected, 32);
    sample.head.born++;
    assert_ok(seal_seed_key(seal, &sample.head, wrapped, v1));
    assert_memory_not_equal(v1, expected, 32);
}

static void test_free_of_nothing_does_nothing(void **state)
{
    (void)state;
    seal_free(NULL);
}

#define SEAL_TEST(test_) cmocka_unit_test_setup_teardown(test_, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEAL_TEST(test_make_then_open_returns_the_plaintext),
        SEAL_TEST(test_open_every_flipped_bit_is_refused),
        SEAL_TEST(test_open_every_truncation_and_extension_is_refused),
        SEAL_TEST(test_open_flipped_bit_is_noticed_without_the_kek),
        SEAL_TEST(test_open_with_the_right_keys_refuses_a_changed_head_salt_iv_and_tag),
        SEAL_TEST(test_open_relabelled_to_the_other_api_is_refused),
        SEAL_TEST(test_open_relabelled_direct_is_refused),
        SEAL_TEST(test_suite_2_is_not_served),
        SEAL_TEST(test_make_plaintext_limits_hold_at_and_past),
        SEAL_TEST(test_make_room_limits_hold_at_and_past),
        SEAL_TEST(test_make_never_writes_what_it_could_not_read),
        SEAL_TEST(test_open_room_limits_hold_at_and_past),
        SEAL_TEST(test_derive_wrong_seed_or_room_length_is_a_bug),
        SEAL_TEST(test_make_same_plaintext_twice_shares_nothing_random),
        SEAL_TEST(test_seed_key_is_the_hash_of_aad_and_wrapped_for_both_apis),
        cmocka_unit_test(test_free_of_nothing_does_nothing),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
