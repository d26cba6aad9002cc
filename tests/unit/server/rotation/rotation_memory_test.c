/* What rotation remembers of keys, proofs and wrong canaries, and for how long. */
#include "server/rotation/rotation.h"

#include <string.h>

#include "tests/kit/unit.h"

#define NOW INT64_C(1800000000)

static struct rotation rotation;

static struct ring_key key(int64_t created, uint8_t id)
{
    struct ring_key k = {
        .not_before = (uint32_t)created, .created = (uint32_t)created, .verdict = RING_GOOD};
    memset(k.kek_id, id, sizeof(k.kek_id));
    return k;
}

static const struct ring_key *serving(void)
{
    return rotation.view.has_serving ? &rotation.view.serving : NULL;
}

/* A process that remembers `a` and serves it. */
static void start_serving(const struct ring_key *a)
{
    rotation_init(&rotation, a, 0);
    rotation_listed(&rotation, a, 1, NOW, 0);
    rotation_proven(&rotation, a, NOW, 1);
    assert_true(serving() != NULL && ring_same(serving(), a));
}

static void test_canary_wrong_again_after_a_proof_is_the_first_time_again(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    start_serving(&a);
    for (int64_t at_ms = 20000; at_ms < 200000; at_ms += 20000) {
        rotation_canary_wrong(&rotation, at_ms);
        assert_int_equal(rotation.view.verdict, ROTATION_FINE);
        rotation_proven(&rotation, &a, NOW, at_ms + 2000);
    }
}

static void test_proof_of_a_key_that_went_and_came_is_made_anew(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW - 50, 2)};
    keys[1].not_before = (uint32_t)NOW + 300;
    start_serving(&keys[0]);
    rotation_listed(&rotation, keys, 2, NOW, 20000);
    rotation_proven(&rotation, &keys[1], NOW, 20100);
    rotation_listed(&rotation, keys, 1, NOW, 40000);
    rotation_listed(&rotation, keys, 2, NOW, 60000);
    assert_int_equal(rotation.view.want_proof_n, 1);
    assert_true(ring_same(&rotation.view.want_proof[0], &keys[1]));
    (void)rotation_tick(&rotation, NOW + 300, 61000);
    assert_true(ring_same(serving(), &keys[0]));
}

static void test_remembered_moves_with_what_serves(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW - 50, 2)};
    start_serving(&keys[0]);
    rotation_listed(&rotation, keys, 2, NOW, 20000);
    assert_true(ring_same(&rotation.view.remembered, &keys[0]));
    rotation_proven(&rotation, &keys[1], NOW, 20100);
    assert_true(ring_same(serving(), &keys[1]));
    assert_true(ring_same(&rotation.view.remembered, &keys[1]));
}

static void test_listing_longer_than_the_table_is_cut(void **state)
{
    (void)state;
    static struct ring_key keys[ROTATION_KEYS_MAX + 1];
    for (size_t i = 0; i <= ROTATION_KEYS_MAX; i++) {
        keys[i] = key(NOW - 5000 + (int64_t)i, 1);
    }
    rotation_init(&rotation, NULL, 0);
    rotation_listed(&rotation, keys, ROTATION_KEYS_MAX, NOW, 0);
    assert_int_equal(rotation.keys_n, ROTATION_KEYS_MAX);
    rotation_listed(&rotation, keys, ROTATION_KEYS_MAX + 1, NOW, 20000);
    assert_int_equal(rotation.keys_n, ROTATION_KEYS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canary_wrong_again_after_a_proof_is_the_first_time_again),
        cmocka_unit_test(test_proof_of_a_key_that_went_and_came_is_made_anew),
        cmocka_unit_test(test_remembered_moves_with_what_serves),
        cmocka_unit_test(test_listing_longer_than_the_table_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
