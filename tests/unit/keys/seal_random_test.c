/* The pool of random bytes behind seal_random. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/poison.h"
#include "keys/seal.h"
#include "tests/kit/unit.h"

/* The blocks that seal_new takes for itself lie behind this one. */
#define OWN_BLOCKS 2u

static struct seal *seal;
static struct secret *first;

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front)) || failed(secret_serve_crypto(false)) ||
                   failed(secret_new(SECRET_2KIB, SECRET_2KIB_BYTES, &first)) ||
                   failed(seal_new(&seal))
               ? -1
               : 0;
}

static int teardown(void **state)
{
    (void)state;
    seal_free(seal);
    secret_free(first);
    return secret_in_use(SECRET_2KIB) == 0 && secret_free_space_is_zero() ? 0 : -1;
}

/* How often the seal's own memory holds these bytes. */
static unsigned times_kept(const uint8_t *bytes, size_t n)
{
    const uint8_t *own = secret_room(first).ptr + SECRET_2KIB_BYTES;
    unsigned times = 0;
    UNPOISON(own, OWN_BLOCKS * SECRET_2KIB_BYTES); /* what it did not ask for of them, too */
    for (size_t i = 0; i + n <= OWN_BLOCKS * SECRET_2KIB_BYTES; i++) {
        times += memcmp(own + i, bytes, n) == 0 ? 1 : 0;
    }
    return times;
}

static void test_random_given_out_is_kept_nowhere(void **state)
{
    (void)state;
    uint8_t drawn[16];
    for (int i = 0; i < 10; i++) {
        assert_ok(seal_random(seal, span_mut_of(drawn, sizeof(drawn))));
        assert_int_equal(times_kept(drawn, sizeof(drawn)), 0);
    }
}

static void test_make_keeps_neither_derived_keys_nor_random_bytes(void **state)
{
    (void)state;
    static const uint8_t wrapped[61] = {12};
    uint8_t bytes[SEED_LEN] = {9};
    uint8_t out[ENVELOPE_MAX];
    uint8_t derived[SEAL_DERIVED_LEN];
    size_t len = 0;
    const struct envelope_head head = {.suite = ENVELOPE_SEED, .scheme = ENVELOPE_AES_GCM};
    const struct seal_seed seed = {.head = &head,
                                   .wrapped = span_of(wrapped, sizeof(wrapped)),
                                   .seed = span_of(bytes, sizeof(bytes))};
    assert_ok(
        seal_make(seal, &seed, ENVELOPE_V2, span_of("x", 1), span_mut_of(out, sizeof(out)), &len));
    struct envelope e;
    assert_ok(envelope_parse(span_of(out, len), &e));
    assert_ok(seal_derive(seal, &e, seed.seed, span_mut_of(derived, sizeof(derived))));
    assert_int_equal(times_kept(derived, 32), 0);
    assert_int_equal(times_kept(e.commitment.ptr, e.commitment.len), 0);
}

/* Over several refills of the pool, no 16 bytes come twice. */
static void test_random_pool_never_repeats(void **state)
{
    (void)state;
    static uint8_t drawn[1000][16];
    for (size_t i = 0; i < 1000; i++) {
        assert_ok(seal_random(seal, span_mut_of(drawn[i], 16)));
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(drawn[i], drawn[k], 16);
        }
    }
}

static void test_random_more_than_the_pool_and_nothing_at_all(void **state)
{
    (void)state;
    static uint8_t large[10000];
    static const uint8_t zeros[32];
    assert_ok(seal_random(seal, span_mut_of(large, 0)));
    assert_ok(seal_random(seal, span_mut_of(large, sizeof(large))));
    for (size_t i = 0; i + 32 <= sizeof(large); i += 32) {
        assert_memory_not_equal(large + i, zeros, 32);
    }
}

/*
 * The arena is wiped in a child, the generator of libcrypto with it: draw anew or fail, never
 * answer zeros.
 */
static void test_random_in_a_forked_child_is_not_the_wiped_pool(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        static const uint8_t zeros[16];
        uint8_t drawn[16] = {0};
        err_t err = seal_random(seal, span_mut_of(drawn, sizeof(drawn)));
        _exit(!failed(err) && memcmp(drawn, zeros, sizeof(drawn)) == 0 ? 1 : 0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_given_out_is_kept_nowhere),
        cmocka_unit_test(test_make_keeps_neither_derived_keys_nor_random_bytes),
        cmocka_unit_test(test_random_pool_never_repeats),
        cmocka_unit_test(test_random_more_than_the_pool_and_nothing_at_all),
        cmocka_unit_test(test_random_in_a_forked_child_is_not_the_wiped_pool),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
