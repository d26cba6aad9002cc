#include "base/secret_heap.h"

#include <string.h>

#include "base/span.h"
#include "tests/kit/unit.h"

#define ROOM 65536u

static _Alignas(64) uint8_t room[ROOM];
static struct secret_heap heap;

static int setup(void **state)
{
    (void)state;
    memset(room, 0, sizeof(room));
    return failed(secret_heap_init(&heap, room, ROOM)) ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    secret_heap_done(&heap);
    return 0;
}

static void test_alloc_whole_range_then_nothing_more(void **state)
{
    (void)state;
    void *all = secret_heap_alloc(&heap, ROOM);
    assert_ptr_equal(all, room);
    assert_null(secret_heap_alloc(&heap, 1));
    secret_heap_free(&heap, all);
    assert_int_equal(heap.used, 0);
    assert_non_null(all = secret_heap_alloc(&heap, ROOM));
    secret_heap_free(&heap, all);
}

static void test_alloc_too_large_returns_null(void **state)
{
    (void)state;
    assert_null(secret_heap_alloc(&heap, ROOM + 1));
    assert_null(secret_heap_alloc(&heap, SIZE_MAX));
}

static void test_init_odd_size_is_a_bug(void **state)
{
    (void)state;
    struct secret_heap other;
    assert_fails(secret_heap_init(&other, room, 48), E_BUG);
}

/* A fixed pseudo-random walk: no overlap, all space returns, every freed byte is zero. */
static void test_alloc_and_free_many_sizes_merge_back_to_one_block(void **state)
{
    (void)state;
    enum { LIVE = 64 };
    uint8_t *live[LIVE] = {0};
    size_t size[LIVE] = {0};
    uint32_t random = 12345;
    for (int step = 0; step < 20000; step++) {
        random = random * 1664525u + 1013904223u;
        size_t slot = (random >> 8) % LIVE;
        if (live[slot] != NULL) {
            for (size_t i = 0; i < size[slot]; i++) {
                assert_int_equal(live[slot][i], (uint8_t)slot);
            }
            assert_int_equal(secret_heap_size(&heap, live[slot]), size[slot]);
            secret_heap_free(&heap, live[slot]);
            live[slot] = NULL;
        } else {
            size[slot] = 1 + (random >> 16) % 1500;
            live[slot] = secret_heap_alloc(&heap, size[slot]);
            if (live[slot] != NULL) {
                memset(live[slot], (int)slot, size[slot]);
            }
        }
    }
    for (size_t slot = 0; slot < LIVE; slot++) {
        if (live[slot] != NULL) {
            secret_heap_free(&heap, live[slot]);
        }
    }
    assert_int_equal(heap.used, 0);
    assert_true(heap.peak > 0);
    assert_true(secret_heap_free_is_zero(&heap));
    void *all = secret_heap_alloc(&heap, ROOM);
    assert_non_null(all);
    secret_heap_free(&heap, all);
}

static void test_owns_only_its_range(void **state)
{
    (void)state;
    int elsewhere = 0;
    assert_true(secret_heap_owns(&heap, room));
    assert_true(secret_heap_owns(&heap, room + ROOM - 1));
    assert_false(secret_heap_owns(&heap, room + ROOM));
    assert_false(secret_heap_owns(&heap, &elsewhere));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_alloc_whole_range_then_nothing_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alloc_too_large_returns_null, setup, teardown),
        cmocka_unit_test_setup_teardown(test_init_odd_size_is_a_bug, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alloc_and_free_many_sizes_merge_back_to_one_block,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_owns_only_its_range, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
