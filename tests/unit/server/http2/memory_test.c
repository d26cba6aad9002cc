#include "server/http2/memory.h"

#include <stdint.h>
#include <string.h>

#include "tests/kit/freed.h"
#include "tests/kit/unit.h"

static void test_calloc_is_zero_and_refuses_an_overflow(void **state)
{
    (void)state;
    uint8_t *ptr = h2_memory_calloc(10, 10, NULL);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(ptr[i], 0);
    }
    h2_memory_free(ptr, NULL);
    assert_null(h2_memory_calloc(SIZE_MAX / 2, 3, NULL));
    assert_null(h2_memory_malloc(SIZE_MAX, NULL));
}

/* HPACK tables and half-read frames may hold what a peer sent. */
static void test_free_and_realloc_leave_nothing_behind(void **state)
{
    (void)state;
    uint8_t *ptr = h2_memory_malloc(100, NULL);
    memset(ptr, 0x5a, 100);
    freed_watch(ptr, 100);
    ptr = h2_memory_realloc(ptr, 200, NULL);
    assert_int_equal(freed_bytes_left(), 0);
    memset(ptr, 0x5a, 200);
    freed_watch(ptr, 200);
    h2_memory_free(ptr, NULL);
    assert_int_equal(freed_bytes_left(), 0);
}

static void test_realloc_keeps_what_fits(void **state)
{
    (void)state;
    uint8_t *ptr = h2_memory_realloc(NULL, 8, NULL);
    memcpy(ptr, "12345678", 8);
    ptr = h2_memory_realloc(ptr, 100, NULL);
    assert_memory_equal(ptr, "12345678", 8);
    ptr = h2_memory_realloc(ptr, 4, NULL);
    assert_memory_equal(ptr, "1234", 4);
    assert_int_equal((uintptr_t)ptr % 16, 0);
    h2_memory_free(ptr, NULL);
    h2_memory_free(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calloc_is_zero_and_refuses_an_overflow),
        cmocka_unit_test(test_realloc_keeps_what_fits),
        cmocka_unit_test(test_free_and_realloc_leave_nothing_behind),
    };
    return cmocka_run_group_tests_name("http2/memory", tests, NULL, NULL);
}
