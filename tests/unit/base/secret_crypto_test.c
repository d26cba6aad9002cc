/*
 * Real libcrypto on the locked heap. OVERFLOW is 1 in the program that tests the token process's
 * way.
 */
#define _GNU_SOURCE
#include "base/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/freed.h"
#include "tests/kit/unit.h"

#ifndef OVERFLOW
#define OVERFLOW 0
#endif
#define HEAP_BYTES (1u << 20)

static const struct secret_budget budget = {.amount = {[SECRET_CRYPTO] = HEAP_BYTES}};

static bool sealed_and_opened(void)
{
    static const uint8_t key[32] = {1};
    static const uint8_t iv[12] = {2};
    uint8_t sealed[16];
    uint8_t opened[16] = {0};
    int n = 0;
    EVP_CIPHER_CTX *out = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX *in = EVP_CIPHER_CTX_new();
    bool done = out != NULL && in != NULL &&
                EVP_EncryptInit_ex(out, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
                EVP_EncryptUpdate(out, sealed, &n, (const uint8_t *)"sixteen bytes ok", 16) == 1 &&
                EVP_DecryptInit_ex(in, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
                EVP_DecryptUpdate(in, opened, &n, sealed, 16) == 1;
    EVP_CIPHER_CTX_free(out);
    EVP_CIPHER_CTX_free(in);
    return done && memcmp(opened, "sixteen bytes ok", 16) == 0;
}

static void test_crypto_allocates_from_the_arena_and_gives_it_back(void **state)
{
    (void)state;
    assert_true(sealed_and_opened());
    size_t resting = secret_in_use(SECRET_CRYPTO);
    assert_true(resting > 0);
    void *ptr = OPENSSL_malloc(1000);
    assert_non_null(ptr);
    assert_true(secret_in_use(SECRET_CRYPTO) >= resting + 1000);
    OPENSSL_free(ptr);
    assert_true(sealed_and_opened());
    assert_int_equal(secret_in_use(SECRET_CRYPTO), resting);
    assert_true(secret_peak(SECRET_CRYPTO) >= resting + 1000);
}

static void test_crypto_freed_memory_is_wiped(void **state)
{
    (void)state;
    uint8_t *ptr = OPENSSL_malloc(64);
    assert_non_null(ptr);
    memset(ptr, 0xa5, 64);
    OPENSSL_free(ptr);
    assert_true(secret_free_space_is_zero());
}

static void test_crypto_realloc_keeps_contents_and_wipes_the_old(void **state)
{
    (void)state;
    size_t before = secret_in_use(SECRET_CRYPTO);
    uint8_t *ptr = OPENSSL_realloc(NULL, 10);
    memcpy(ptr, "0123456789", 10);
    ptr = OPENSSL_realloc(ptr, 5000);
    assert_memory_equal(ptr, "0123456789", 10);
    ptr = OPENSSL_realloc(ptr, 4);
    assert_memory_equal(ptr, "0123", 4);
    assert_true(secret_free_space_is_zero());
    assert_null(OPENSSL_realloc(ptr, 0));
    assert_int_equal(secret_in_use(SECRET_CRYPTO), before);
}

static void test_crypto_nothing_and_null_are_fine(void **state)
{
    (void)state;
    size_t before = secret_in_use(SECRET_CRYPTO);
    assert_null(OPENSSL_malloc(0));
    OPENSSL_free(NULL);
    assert_int_equal(secret_in_use(SECRET_CRYPTO), before);
}

#if OVERFLOW
static void test_crypto_past_the_arena_leaves_nothing_in_ordinary_memory(void **state)
{
    (void)state;
    uint8_t *ptr = OPENSSL_malloc(2 * HEAP_BYTES);
    assert_non_null(ptr);
    memset(ptr, 0x5a, 2 * HEAP_BYTES);
    freed_watch(ptr, 2 * HEAP_BYTES);
    ptr = OPENSSL_realloc(ptr, 3 * HEAP_BYTES);
    assert_int_equal(freed_bytes_left(), 0);
    memset(ptr, 0x5a, 3 * HEAP_BYTES);
    freed_watch(ptr, 3 * HEAP_BYTES);
    OPENSSL_free(ptr);
    assert_int_equal(freed_bytes_left(), 0);
}

#define PAST_THE_ARENA test_crypto_past_the_arena_goes_on_in_memory_that_is_wiped
static void test_crypto_past_the_arena_goes_on_in_memory_that_is_wiped(void **state)
{
    (void)state;
    size_t before = secret_in_use(SECRET_CRYPTO);
    uint8_t *ptr = OPENSSL_malloc(2 * HEAP_BYTES);
    assert_non_null(ptr);
    assert_int_equal(secret_in_use(SECRET_CRYPTO), before);
    memset(ptr, 0x5a, 2 * HEAP_BYTES);
    ptr = OPENSSL_realloc(ptr, 3 * HEAP_BYTES);
    assert_int_equal(ptr[2 * HEAP_BYTES - 1], 0x5a);
    ptr = OPENSSL_realloc(ptr, 16); /* moves back into the arena */
    assert_int_equal(ptr[15], 0x5a);
    assert_true(secret_in_use(SECRET_CRYPTO) > before);
    OPENSSL_free(ptr);
    assert_int_equal(secret_in_use(SECRET_CRYPTO), before);
    assert_null(OPENSSL_malloc(SIZE_MAX - 4));
}
#else
#define PAST_THE_ARENA test_crypto_past_the_arena_fails_and_serves_again
static void test_crypto_past_the_arena_fails_and_serves_again(void **state)
{
    (void)state;
    assert_null(OPENSSL_malloc(2 * HEAP_BYTES));
    uint8_t *kept = OPENSSL_malloc(100);
    memset(kept, 7, 100);
    assert_null(OPENSSL_realloc(kept, 2 * HEAP_BYTES));
    assert_int_equal(kept[99], 7); /* as realloc promises */
    OPENSSL_free(kept);
    void *taken[512] = {0};
    size_t n = 0;
    while (n < 512 && (taken[n] = OPENSSL_malloc(4096)) != NULL) {
        n++;
    }
    assert_true(n > 100 && n < 512);
    assert_false(sealed_and_opened() && OPENSSL_malloc(4096) != NULL);
    for (size_t i = 0; i < n; i++) {
        OPENSSL_free(taken[i]);
    }
    assert_true(sealed_and_opened());
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crypto_allocates_from_the_arena_and_gives_it_back),
        cmocka_unit_test(test_crypto_freed_memory_is_wiped),
        cmocka_unit_test(test_crypto_realloc_keeps_contents_and_wipes_the_old),
        cmocka_unit_test(test_crypto_nothing_and_null_are_fine),
        cmocka_unit_test(PAST_THE_ARENA),
#if OVERFLOW
        cmocka_unit_test(test_crypto_past_the_arena_leaves_nothing_in_ordinary_memory),
#endif
    };
    if (failed(secret_init(&budget)) || failed(secret_serve_crypto(OVERFLOW != 0))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
