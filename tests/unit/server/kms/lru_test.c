#include "server/kms/lru.h"

#include <string.h>

#include "tests/kit/unit.h"

static const uint8_t *key(uint8_t n)
{
    static uint8_t bytes[LRU_KEY_LEN];
    memset(bytes, 0, sizeof(bytes));
    bytes[0] = 0xaa; /* all in one bucket of a small table */
    bytes[31] = n;
    return bytes;
}

static void test_find_absent_is_none(void **state)
{
    CLEANUP(lru_free_p) struct lru *lru = NULL;
    (void)state;
    assert_ok(lru_new(4, &lru));
    assert_int_equal(lru_find(lru, key(1)), LRU_NONE);
}

static void test_add_past_the_cap_reuses_the_slot_of_the_oldest(void **state)
{
    CLEANUP(lru_free_p) struct lru *lru = NULL;
    (void)state;
    assert_ok(lru_new(3, &lru));
    size_t first = lru_add(lru, key(1));
    (void)lru_add(lru, key(2));
    (void)lru_add(lru, key(3));
    assert_int_equal(lru_find(lru, key(1)), first); /* now the youngest */
    size_t fourth = lru_add(lru, key(4));
    assert_int_not_equal(fourth, first);
    assert_int_equal(lru_find(lru, key(2)), LRU_NONE);
    assert_int_equal(lru_count(lru), 3);
}

static void test_add_with_pins_passes_them_over(void **state)
{
    CLEANUP(lru_free_p) struct lru *lru = NULL;
    (void)state;
    assert_ok(lru_new(2, &lru));
    size_t first = lru_add(lru, key(1));
    size_t second = lru_add(lru, key(2));
    lru_pin(lru, first);
    assert_int_equal(lru_add(lru, key(3)), second);
    lru_pin(lru, second);
    assert_int_equal(lru_add(lru, key(4)), LRU_NONE);
    lru_unpin(lru, first);
    assert_int_equal(lru_add(lru, key(4)), first);
}

static void test_add_to_no_capacity_is_none(void **state)
{
    CLEANUP(lru_free_p) struct lru *lru = NULL;
    (void)state;
    assert_ok(lru_new(0, &lru));
    assert_int_equal(lru_add(lru, key(1)), LRU_NONE);
    assert_int_equal(lru_find(lru, key(1)), LRU_NONE);
    assert_int_equal(lru_next(lru, LRU_NONE), LRU_NONE);
}

static void test_remove_frees_the_slot_and_its_pin(void **state)
{
    CLEANUP(lru_free_p) struct lru *lru = NULL;
    (void)state;
    assert_ok(lru_new(1, &lru));
    size_t slot = lru_add(lru, key(1));
    lru_pin(lru, slot);
    lru_remove(lru, slot);
    lru_remove(lru, slot);
    assert_int_equal(lru_count(lru), 0);
    assert_int_equal(lru_add(lru, key(2)), slot);
    assert_int_equal(lru_add(lru, key(3)), slot);
}

static void test_next_goes_from_young_to_old(void **state)
{
    CLEANUP(lru_free_p) struct lru *lru = NULL;
    (void)state;
    assert_ok(lru_new(3, &lru));
    for (uint8_t n = 1; n <= 3; n++) {
        (void)lru_add(lru, key(n));
    }
    (void)lru_find(lru, key(1));
    const uint8_t order[] = {1, 3, 2};
    size_t slot = LRU_NONE;
    for (size_t i = 0; i < sizeof(order); i++) {
        slot = lru_next(lru, slot);
        assert_int_equal(lru_key(lru, slot)[31], order[i]);
    }
    assert_int_equal(lru_next(lru, slot), LRU_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_absent_is_none),
        cmocka_unit_test(test_add_past_the_cap_reuses_the_slot_of_the_oldest),
        cmocka_unit_test(test_add_with_pins_passes_them_over),
        cmocka_unit_test(test_add_to_no_capacity_is_none),
        cmocka_unit_test(test_remove_frees_the_slot_and_its_pin),
        cmocka_unit_test(test_next_goes_from_young_to_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
