#include "keys/kdf.h"

#include <string.h>

#include "tests/kit/unit.h"

/*
 * By Python's hmac, from the formula in kdf.h: seed 0, 1, .. 31; context 100 .. 163; random 200 ..
 * 231.
 */
static const uint8_t derived_by_hand[KDF_OUT] = {
    0x69, 0xe5, 0xd4, 0xac, 0xda, 0x05, 0xff, 0x55, 0xc6, 0x14, 0x3f, 0xb0, 0x7c, 0xdb, 0x66, 0xd5,
    0xa7, 0x11, 0xb3, 0x71, 0x64, 0xa3, 0xc2, 0x45, 0x6d, 0x33, 0x02, 0x5c, 0x01, 0x04, 0x1b, 0x72,
    0xd9, 0x68, 0xec, 0x85, 0x2a, 0x55, 0x3a, 0x36, 0x04, 0x1d, 0xcc, 0xcf, 0x53, 0x79, 0x56, 0xd6,
    0xa7, 0xd0, 0x3f, 0x1e, 0x90, 0xdf, 0x3b, 0x1f, 0x39, 0xc6, 0xd6, 0xe6, 0x6e, 0xb5, 0xb6, 0xa1,
};
static const uint8_t salt_by_hand[KDF_HASH] = {
    0xb0, 0x3b, 0x21, 0xe7, 0x77, 0xed, 0x20, 0xfa, 0xed, 0x5f, 0xd1, 0x37, 0x7d, 0x44, 0x83, 0xc4,
    0x4b, 0x63, 0x21, 0x05, 0xa7, 0x92, 0x84, 0x29, 0x82, 0x50, 0x94, 0x67, 0xf8, 0xad, 0xe4, 0x4a,
};

struct inputs {
    uint8_t seed[32];
    uint8_t context[KDF_CONTEXT];
    uint8_t random[32];
};

static struct inputs counted(void)
{
    struct inputs in;
    for (size_t i = 0; i < KDF_CONTEXT; i++) {
        in.context[i] = (uint8_t)(100 + i);
    }
    for (size_t i = 0; i < 32; i++) {
        in.seed[i] = (uint8_t)i;
        in.random[i] = (uint8_t)(200 + i);
    }
    return in;
}

static int setup(void **state)
{
    static struct kdf kdf;
    *state = &kdf;
    return failed(kdf_init(&kdf)) ? -1 : 0;
}

static int teardown(void **state)
{
    kdf_done(*state);
    return 0;
}

static void test_derive_equals_the_hand_made_value(void **state)
{
    struct inputs in = counted();
    uint8_t out[KDF_OUT];
    assert_ok(kdf_derive(*state, span_of(in.seed, 32), in.context, out));
    assert_memory_equal(out, derived_by_hand, sizeof(out));
}

static void test_derive_slow_equals_the_hand_made_value(void **state)
{
    (void)state;
    struct inputs in = counted();
    uint8_t out[KDF_OUT];
    assert_ok(kdf_derive_slow(span_of(in.seed, 32), in.context, out));
    assert_memory_equal(out, derived_by_hand, sizeof(out));
}

static void test_derive_many_seeds_equals_the_slow_form_whatever_came_before(void **state)
{
    struct inputs in = counted();
    for (unsigned round = 0; round < 200; round++) {
        uint8_t fast[KDF_OUT];
        uint8_t slow[KDF_OUT];
        in.seed[round % 32] ^= (uint8_t)(round + 1);
        in.context[round % KDF_CONTEXT] ^= (uint8_t)(round + 3);
        assert_ok(kdf_derive(*state, span_of(in.seed, 32), in.context, fast));
        assert_ok(kdf_derive_slow(span_of(in.seed, 32), in.context, slow));
        assert_memory_equal(fast, slow, sizeof(fast));
        assert_ok(kdf_salt(*state, span_of(in.seed, 32), span_of(in.random, 32), span_of_text("x"),
                           fast));
    }
}

static void test_salt_equals_the_hand_made_value(void **state)
{
    struct inputs in = counted();
    uint8_t out[KDF_HASH];
    assert_ok(
        kdf_salt(*state, span_of(in.seed, 32), span_of(in.random, 32), span_of_text("plain"), out));
    assert_memory_equal(out, salt_by_hand, sizeof(out));
}

/*
 * A cloned virtual machine draws the same random bytes twice: the plaintext still parts the keys.
 */
static void test_salt_same_random_bytes_other_plaintext_differs(void **state)
{
    struct inputs in = counted();
    uint8_t a[KDF_HASH];
    uint8_t b[KDF_HASH];
    assert_ok(
        kdf_salt(*state, span_of(in.seed, 32), span_of(in.random, 32), span_of_text("plain"), a));
    assert_ok(
        kdf_salt(*state, span_of(in.seed, 32), span_of(in.random, 32), span_of_text("plaim"), b));
    assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derive_equals_the_hand_made_value),
        cmocka_unit_test(test_derive_slow_equals_the_hand_made_value),
        cmocka_unit_test(test_derive_many_seeds_equals_the_slow_form_whatever_came_before),
        cmocka_unit_test(test_salt_equals_the_hand_made_value),
        cmocka_unit_test(test_salt_same_random_bytes_other_plaintext_differs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
