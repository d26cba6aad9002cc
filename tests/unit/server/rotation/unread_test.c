/*
 * Keys that could not be read, or of which not even the name is known: no verdict on any key
 * follows.
 */
#include <string.h>

#include "server/rotation/rotation.h"
#include "tests/kit/unit.h"

#define NOW INT64_C(1800000000)

static struct rotation rotation;

static struct ring_key key(int64_t not_before, uint8_t id)
{
    struct ring_key k = {.not_before = (uint32_t)not_before,
                         .created = (uint32_t)(NOW - 5000),
                         .verdict = RING_GOOD};
    memset(k.kek_id, id, sizeof(k.kek_id));
    return k;
}

static bool serves(const struct ring_key *wanted)
{
    return rotation.view.has_serving && ring_same(&rotation.view.serving, wanted);
}

/* As after a restart: nothing is known of the key but what an earlier process remembered. */
static void test_start_remembered_key_that_cannot_be_read_is_no_verdict(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    struct ring_key unread = key(NOW - 100, 0);
    unread.verdict = RING_UNKNOWN;
    rotation_init(&rotation, &a, 0);
    for (int64_t ms = 0; ms <= 6000; ms += 2000) {
        rotation_listed(&rotation, &unread, 1, NOW, ms);
        assert_int_equal(rotation.view.verdict, ROTATION_FINE);
    }
    rotation_listed(&rotation, &a, 1, NOW, 8000);
    rotation_proven(&rotation, &a, NOW, 8001);
    assert_true(serves(&a));
}

/* That it has no CKA_ID was read: it is not the one, whatever its dates. */
static void test_key_without_an_id_hides_no_loss(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    struct ring_key nameless = key(NOW - 100, 0);
    nameless.verdict = RING_BAD;
    rotation_init(&rotation, &a, 0);
    rotation_listed(&rotation, &nameless, 1, NOW, 0);
    rotation_listed(&rotation, &nameless, 1, NOW, 2000);
    assert_int_equal(rotation.view.verdict, ROTATION_MISSING);
    assert_false(rotation.view.ring_empty);
}

static void test_missing_is_not_believed_while_a_key_has_no_name(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    const struct ring_key unnamed = {.verdict = RING_UNKNOWN};
    rotation_init(&rotation, &a, 0);
    rotation_listed(&rotation, &a, 1, NOW, 0);
    rotation_proven(&rotation, &a, NOW, 1);
    rotation_listed(&rotation, &unnamed, 1, NOW, 2000);
    rotation_listed(&rotation, &unnamed, 1, NOW, 6000);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
    assert_true(serves(&a));
    assert_false(rotation.view.ring_empty);
    rotation_listed(&rotation, &unnamed, 0, NOW, 8000);
    rotation_listed(&rotation, &unnamed, 0, NOW, 10000);
    assert_int_equal(rotation.view.verdict, ROTATION_MISSING);
}

/* It may be the key that every other node serves. */
static void test_first_choice_waits_while_a_key_has_no_name(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), {.verdict = RING_UNKNOWN}};
    rotation_init(&rotation, NULL, 0);
    rotation_listed(&rotation, keys, 2, NOW, 0);
    rotation_proven(&rotation, &keys[0], NOW, 1);
    rotation_listed(&rotation, keys, 2, NOW, 2000);
    assert_false(rotation.view.has_serving);
    rotation_listed(&rotation, keys, 1, NOW, 4000);
    rotation_listed(&rotation, keys, 1, NOW, 6000);
    assert_true(serves(&keys[0]));
}

/* One of two tokens was never listed: what serves may lie there, and so may what is proven. */
static void test_missing_is_not_believed_of_a_listing_in_part(void **state)
{
    (void)state;
    struct ring_key a = key(NOW - 100, 1);
    rotation_init(&rotation, &a, 0);
    rotation_listed(&rotation, &a, 1, NOW, 0);
    rotation_proven(&rotation, &a, NOW, 1);
    rotation.in_part = true;
    rotation_listed(&rotation, NULL, 0, NOW, 2000);
    rotation_listed(&rotation, NULL, 0, NOW, 6000);
    assert_int_equal(rotation.view.verdict, ROTATION_FINE);
    assert_false(rotation.view.ring_empty);
    assert_true(serves(&a));
    rotation.in_part = false;
    rotation_listed(&rotation, NULL, 0, NOW, 8000);
    assert_true(rotation.view.ring_empty);
    rotation_listed(&rotation, NULL, 0, NOW, 10000);
    assert_int_equal(rotation.view.verdict, ROTATION_MISSING);
}

static void test_proof_outlives_a_listing_in_part(void **state)
{
    (void)state;
    struct ring_key keys[] = {key(NOW - 100, 1), key(NOW + 50, 2)};
    rotation_init(&rotation, &keys[0], 0);
    rotation_listed(&rotation, keys, 2, NOW, 0);
    rotation_proven(&rotation, &keys[0], NOW, 1);
    rotation_proven(&rotation, &keys[1], NOW, 1);
    rotation.in_part = true;
    rotation_listed(&rotation, keys, 1, NOW, 2000);
    rotation.in_part = false;
    rotation_listed(&rotation, keys, 2, NOW, 4000);
    assert_int_equal(rotation.view.want_proof_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_remembered_key_that_cannot_be_read_is_no_verdict),
        cmocka_unit_test(test_key_without_an_id_hides_no_loss),
        cmocka_unit_test(test_missing_is_not_believed_while_a_key_has_no_name),
        cmocka_unit_test(test_first_choice_waits_while_a_key_has_no_name),
        cmocka_unit_test(test_missing_is_not_believed_of_a_listing_in_part),
        cmocka_unit_test(test_proof_outlives_a_listing_in_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
