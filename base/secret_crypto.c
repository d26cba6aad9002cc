/* The allocator that libcrypto is given: the locked heap, and beyond it what secret.h promises. */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/secret.h"
#include "base/secret_part.h"

static bool crypto_may_overflow;

/* Ordinary memory that remembers its size in front, so that free can wipe it. */
#define OVERFLOW_HEAD 16u

static void *overflow_alloc(size_t size)
{
    bool fits = size <= SIZE_MAX - OVERFLOW_HEAD;
    uint8_t *raw = crypto_may_overflow && fits ? malloc(size + OVERFLOW_HEAD) : NULL;
    if (raw == NULL) {
        return NULL;
    }
    span_move(raw, &size, sizeof(size));
    return raw + OVERFLOW_HEAD;
}

static size_t overflow_size(const void *ptr)
{
    size_t size = 0;
    span_move(&size, (const uint8_t *)ptr - OVERFLOW_HEAD, sizeof(size));
    return size;
}

static void overflow_free(void *ptr)
{
    secret_wipe(ptr, overflow_size(ptr));
    free((uint8_t *)ptr - OVERFLOW_HEAD);
}

static bool crypto_owns(const void *ptr)
{
    return secret_part_owns(SECRET_CRYPTO, ptr);
}

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    void *ptr = size == 0 ? NULL : secret_alloc(SECRET_CRYPTO, size);
    return ptr != NULL || size == 0 ? ptr : overflow_alloc(size);
}

static void crypto_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    if (ptr == NULL) {
        return;
    }
    if (crypto_owns(ptr)) {
        secret_release(SECRET_CRYPTO, ptr);
    } else {
        overflow_free(ptr);
    }
}

static void *crypto_realloc(void *ptr, size_t size, const char *file, int line)
{
    if (size == 0) {
        crypto_free(ptr, file, line);
        return NULL;
    }
    void *fresh = crypto_malloc(size, file, line);
    if (fresh == NULL || ptr == NULL) {
        return fresh;
    }
    size_t old = crypto_owns(ptr) ? secret_part_size(SECRET_CRYPTO, ptr) : overflow_size(ptr);
    span_move(fresh, ptr, old < size ? old : size);
    crypto_free(ptr, file, line);
    return fresh;
}

err_t secret_serve_crypto(bool overflow)
{
    crypto_may_overflow = overflow;
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1) {
        return FAIL(E_BUG, "libcrypto has allocated before the arena was given to it");
    }
    return OK;
}
