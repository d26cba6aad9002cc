/* The pool of random bytes behind seal_random. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keys/seal.h"
#include "tests/kit/unit.h"

static struct seal *seal;

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front)) || failed(secret_serve_crypto(false)) ||
                   failed(seal_new(&seal))
               ? -1
               : 0;
}

static int teardown(void **state)
{
    (void)state;
    seal_free(seal);
    return secret_in_use(SECRET_SLOT) == 0 && secret_free_space_is_zero() ? 0 : -1;
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

/* The arena is wiped in a child, the generator of libcrypto with it: draw anew or fail, never answer zeros. */
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
        cmocka_unit_test(test_random_pool_never_repeats),
        cmocka_unit_test(test_random_more_than_the_pool_and_nothing_at_all),
        cmocka_unit_test(test_random_in_a_forked_child_is_not_the_wiped_pool),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
