/* What counts as a call that found no room to wait in, and what does not. */
#include "server/kms/calls.h"
#include "server/kms/unwraps.h"
#include "tests/flow/kms_fixture.h"

#define ARENA_MAX 4096u

static bool libcrypto_fails;

err_t __real_seal_make(struct seal *seal, const struct seal_seed *seed, uint8_t api,
                       struct span plaintext, struct span_mut out, size_t *ret_len);
err_t __wrap_seal_make(struct seal *seal, const struct seal_seed *seed, uint8_t api,
                       struct span plaintext, struct span_mut out, size_t *ret_len);

err_t __wrap_seal_make(struct seal *seal, const struct seal_seed *seed, uint8_t api,
                       struct span plaintext, struct span_mut out, size_t *ret_len)
{
    if (libcrypto_fails) {
        return FAIL(E_LIMIT, "libcrypto cannot seal or hash");
    }
    return __real_seal_make(seal, seed, api, plaintext, out, ret_len);
}

static void test_calls_that_find_no_place_to_wait_are_counted(void **state)
{
    struct world *world = *state;
    world_start_alone(world);
    for (unsigned i = 0; i < CALLS_SECRETS_MAX; i++) {
        (void)world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    }
    assert_int_equal(world_logged("limit-bites", NULL), 0);
    assert_answer_fails(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"), E_LIMIT);
    assert_int_equal(world_logged("limit-bites", "waiting"), 1);
}

static void test_call_that_finds_the_arena_used_up_is_counted(void **state)
{
    struct world *world = *state;
    static struct secret *others[ARENA_MAX];
    size_t n = 0;
    world_serve(world);
    while (n < ARENA_MAX && !failed(secret_new(SECRET_2KIB, 1, &others[n]))) {
        n++;
    }
    assert_in_range(n, 1, ARENA_MAX - 1);
    int32_t stream = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    while (n > 0) {
        secret_free(others[--n]);
    }
    assert_answer_fails(world, stream, E_LIMIT);
    assert_int_equal(world_logged("limit-bites", "waiting"), 1);
}

static void test_seed_that_finds_no_place_to_wait_is_counted(void **state)
{
    struct world *world = *state;
    world_serve(world);
    for (unsigned i = 0; i < UNWRAPS_MAX; i++) {
        struct answer foreign = world_foreign(world, 0, "x");
        (void)world_decrypt_of(world, &foreign);
    }
    assert_int_equal(world_logged("limit-bites", NULL), 0);
    struct answer foreign = world_foreign(world, 0, "x");
    assert_answer_fails(world, world_decrypt_of(world, &foreign), E_LIMIT);
    assert_int_equal(world_logged("limit-bites", "waiting"), 1);
    world_settle(world);
}

static void test_limit_that_has_nothing_to_do_with_waiting_is_not_counted(void **state)
{
    struct world *world = *state;
    world_serve(world);
    libcrypto_fails = true;
    int32_t stream = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    libcrypto_fails = false;
    assert_answer_fails(world, stream, E_LIMIT);
    assert_int_equal(world_logged("limit-bites", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_calls_that_find_no_place_to_wait_are_counted),
        IN_WORLD(test_call_that_finds_the_arena_used_up_is_counted),
        IN_WORLD(test_seed_that_finds_no_place_to_wait_is_counted),
        IN_WORLD(test_limit_that_has_nothing_to_do_with_waiting_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
