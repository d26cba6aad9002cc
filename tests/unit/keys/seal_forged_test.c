/* Envelopes of someone who has the derived keys: what must hold although every tag is right. */
#include <openssl/evp.h>
#include <string.h>

#include "keys/seal.h"
#include "tests/kit/unit.h"
#include "tests/unit/keys/sample.h"

static struct seal *seal;
static struct sample sample;
static uint8_t made[ENVELOPE_MAX];
static struct envelope e; /* parsed from `made` */
static uint8_t derived[SEAL_DERIVED_LEN];

static int setup(void **state)
{
    (void)state;
    size_t len = 0;
    assert_ok(secret_init(&secret_budget_front));
    assert_ok(seal_new(&seal));
    assert_ok(sample_init(&sample, 12));
    const struct seal_seed seed = sample_seed(&sample);
    assert_ok(seal_make(seal, &seed, ENVELOPE_V2, span_of("secret", 6),
                        span_mut_of(made, sizeof(made)), &len));
    assert_ok(envelope_parse(span_of(made, len), &e));
    assert_ok(seal_derive(seal, &e, seed.seed, span_mut_of(derived, sizeof(derived))));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    seal_free(seal);
    secret_done();
    return 0;
}

static enum err_code open_it(void)
{
    uint8_t out[ENVELOPE_PLAIN_MAX];
    size_t len = 0;
    return seal_open(seal, &e, span_of(derived, sizeof(derived)), span_mut_of(out, sizeof(out)),
                     &len)
        .code;
}

static uint8_t *place(struct span field)
{
    return made + (field.ptr - made);
}

/* Seals "secret" again for the envelope as it stands. */
static void seal_by_hand(void)
{
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, derived, e.iv.ptr), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, e.before_iv.ptr, (int)e.before_iv.len), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, place(e.ciphertext), &n, (const uint8_t *)"secret", 6),
                     1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, place(e.tag), &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, ENVELOPE_TAG, place(e.tag)),
                     1);
    EVP_CIPHER_CTX_free(ctx);
}

/*
 * GCM alone commits to no key: whoever finds two keys that open one ciphertext must fail at the
 * commitment.
 */
static void test_open_good_tag_but_a_wrong_commitment_is_refused(void **state)
{
    (void)state;
    seal_by_hand();
    assert_int_equal(open_it(), E_NONE);
    for (size_t byte = 0; byte < ENVELOPE_COMMIT; byte++) {
        place(e.commitment)[byte] ^= 1;
        seal_by_hand();
        assert_int_equal(open_it(), E_CRYPTO);
        place(e.commitment)[byte] ^= 1;
    }
}

static void test_open_with_the_right_keys_refuses_suite_2(void **state)
{
    (void)state;
    assert_int_equal(open_it(), E_NONE);
    e.head.suite = ENVELOPE_DIRECT;
    assert_int_equal(open_it(), E_CRYPTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open_good_tag_but_a_wrong_commitment_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_open_with_the_right_keys_refuses_suite_2, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
