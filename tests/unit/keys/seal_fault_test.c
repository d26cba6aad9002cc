/*
 * Every call into libcrypto fails once: each failure is an error, nothing leaks, nothing is
 * answered.
 */
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>

#include "keys/key_id.h"
#include "keys/seal.h"
#include "tests/kit/unit.h"
#include "tests/unit/keys/sample.h"

static int calls_left = -1; /* < 0: nothing fails */
static bool kdf_lies;

static bool fails_now(void)
{
    return calls_left >= 0 && calls_left-- == 0;
}

#define FAULT(result_, failure_, name_, parameters_, arguments_)                                   \
    result_ __real_##name_ parameters_;                                                            \
    result_ __wrap_##name_ parameters_;                                                            \
    result_ __wrap_##name_ parameters_                                                             \
    {                                                                                              \
        return fails_now() ? (failure_) : __real_##name_ arguments_;                               \
    }

FAULT(EVP_MAC_CTX *, NULL, EVP_MAC_CTX_new, (EVP_MAC *m), (m))
FAULT(int, 0, EVP_MAC_init,
      (EVP_MAC_CTX * c, const unsigned char *k, size_t n, const OSSL_PARAM p[]), (c, k, n, p))
FAULT(int, 0, EVP_MAC_update, (EVP_MAC_CTX *c, const unsigned char *d, size_t n), (c, d, n))
FAULT(int, 0, EVP_MAC_final, (EVP_MAC_CTX *c, unsigned char *o, size_t *l, size_t n), (c, o, l, n))
FAULT(EVP_CIPHER_CTX *, NULL, EVP_CIPHER_CTX_new, (void), ())
FAULT(int, 0, EVP_CipherUpdate,
      (EVP_CIPHER_CTX * c, unsigned char *o, int *l, const unsigned char *d, int n),
      (c, o, l, d, n))
FAULT(int, 0, EVP_CipherFinal_ex, (EVP_CIPHER_CTX *c, unsigned char *o, int *l), (c, o, l))
FAULT(int, 0, EVP_DigestUpdate, (EVP_MD_CTX *c, const void *d, size_t n), (c, d, n))
FAULT(int, 0, EVP_Q_digest,
      (OSSL_LIB_CTX * x, const char *a, const char *q, const void *d, size_t n, unsigned char *o,
       size_t *l),
      (x, a, q, d, n, o, l))
FAULT(int, 0, RAND_priv_bytes, (unsigned char *b, int n), (b, n))
FAULT(void *, NULL, calloc, (size_t n, size_t m), (n, m))

int __real_EVP_KDF_derive(EVP_KDF_CTX *c, unsigned char *k, size_t n, const OSSL_PARAM p[]);
int __wrap_EVP_KDF_derive(EVP_KDF_CTX *c, unsigned char *k, size_t n, const OSSL_PARAM p[]);
int __wrap_EVP_KDF_derive(EVP_KDF_CTX *c, unsigned char *k, size_t n, const OSSL_PARAM p[])
{
    int done = fails_now() ? 0 : __real_EVP_KDF_derive(c, k, n, p);
    k[n - 1] ^= kdf_lies ? 1 : 0;
    return done;
}

static err_t whole_way(const struct sample *sample, uint8_t *out, size_t *ret_len)
{
    uint8_t bytes[ENVELOPE_MAX];
    uint8_t name[32];
    size_t n = 0;
    struct envelope e;
    const struct seal_seed seed = sample_seed(sample);
    CLEANUP(seal_free_p) struct seal *seal = NULL;
    CLEANUP(secret_free_p) struct secret *derived = NULL;
    TRY(secret_new(SECRET_DERIVED, SEAL_DERIVED_LEN, &derived));
    TRY(seal_new(&seal));
    TRY(key_id_realm("prod", name));
    TRY(seal_seed_key(seal, &sample->head, seed.wrapped, name));
    TRY(seal_make(seal, &seed, ENVELOPE_V2, span_of("plain", 5), span_mut_of(bytes, sizeof(bytes)),
                  &n));
    TRY(envelope_parse(span_of(bytes, n), &e));
    TRY(seal_derive(seal, &e, seed.seed, secret_room(derived)));
    return seal_open(seal, &e, span_of(secret_room(derived).ptr, SEAL_DERIVED_LEN),
                     span_mut_of(out, 16), ret_len);
}

static void test_whole_way_any_call_of_libcrypto_fails_is_an_error_that_leaves_nothing(void **state)
{
    (void)state;
    struct sample sample;
    assert_ok(sample_init(&sample, 12));
    int faults = 0;
    for (;; faults++) {
        uint8_t out[16] = {0};
        size_t len = 77;
        calls_left = faults;
        err_t err = whole_way(&sample, out, &len);
        bool reached = calls_left < 0;
        calls_left = -1;
        assert_int_equal(secret_in_use(SECRET_2KIB) + secret_in_use(SECRET_DERIVED), 0);
        assert_true(secret_free_space_is_zero());
        if (!reached) {
            assert_ok(err);
            break;
        }
        assert_true(failed(err));
        assert_int_equal(len, 77);
        assert_memory_not_equal(out, "plain", 5);
    }
    assert_true(faults > 30);
}

static void test_new_without_arena_room_is_refused(void **state)
{
    (void)state;
    struct secret *taken[1024];
    size_t n = 0;
    while (n < 1024 && !failed(secret_new(SECRET_2KIB, 1, &taken[n]))) {
        n++;
    }
    struct seal *seal = NULL;
    for (int spare = 0; spare < 3; spare++) {
        assert_fails(seal_new(&seal), E_LIMIT);
        assert_null(seal);
        secret_free(taken[--n]);
    }
    assert_ok(seal_new(&seal));
    seal_free(seal);
    while (n > 0) {
        secret_free(taken[--n]);
    }
}

static void test_new_derivation_differs_from_kbkdf_by_one_bit_is_a_bug(void **state)
{
    (void)state;
    struct seal *seal = NULL;
    kdf_lies = true;
    err_t err = seal_new(&seal);
    kdf_lies = false;
    assert_int_equal(err.code, E_BUG);
    assert_null(seal);
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
}

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front)) ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_whole_way_any_call_of_libcrypto_fails_is_an_error_that_leaves_nothing),
        cmocka_unit_test(test_new_without_arena_room_is_refused),
        cmocka_unit_test(test_new_derivation_differs_from_kbkdf_by_one_bit_is_a_bug),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
