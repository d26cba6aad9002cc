/* A secret has the capacity that was asked for, not that of its block. */
#include <string.h>

#include "base/poison.h"
#include "base/secret.h"
#include "tests/kit/unit.h"

static const struct secret_budget budget = {.amount = {[SECRET_2KIB] = 1}};

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&budget)) ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    secret_done();
    return 0;
}

static void test_new_gives_the_bytes_asked_for_and_not_one_more(void **state)
{
    (void)state;
    for (size_t cap = 0; cap <= SECRET_2KIB_BYTES; cap += 1 + cap / 4) {
        CLEANUP(secret_free_p) struct secret *s = NULL;
        assert_ok(secret_new(SECRET_2KIB, cap, &s));
        struct span_mut room = secret_room(s);
        assert_int_equal(secret_cap(s), cap);
        assert_int_equal(room.len, cap);
        memset(room.ptr, 0xa5, room.len);
#ifdef POISON_ACTIVE
        assert_true(__asan_address_is_poisoned(room.ptr + cap));
#endif
    }
}

static void test_append_and_set_len_stop_at_what_was_asked_for(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *s = NULL;
    assert_ok(secret_new(SECRET_2KIB, 3, &s));
    assert_fails(secret_append(s, span_of("abcd", 4)), E_LIMIT);
    assert_ok(secret_append(s, span_of("abc", 3)));
    assert_fails(secret_append(s, span_of("d", 1)), E_LIMIT);
    secret_set_len(s, 0);
    secret_set_len(s, 3);
    assert_memory_equal(secret_view(s).ptr, "\0\0", 3);
}

static void test_free_wipes_what_lies_past_the_capacity_too(void **state)
{
    (void)state;
    struct secret *s = NULL;
    assert_ok(secret_new(SECRET_2KIB, 3, &s));
    uint8_t *ptr = secret_room(s).ptr;
    UNPOISON(ptr, SECRET_2KIB_BYTES);
    memset(ptr, 0xa5, SECRET_2KIB_BYTES);
    secret_free(s);
    assert_true(secret_free_space_is_zero());
}

static void test_new_after_free_of_a_shorter_one_has_its_own_capacity(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *s = NULL;
    assert_ok(secret_new(SECRET_2KIB, 3, &s));
    secret_free(TAKE(s));
    assert_ok(secret_new(SECRET_2KIB, SECRET_2KIB_BYTES, &s));
    memset(secret_room(s).ptr, 0xa5, SECRET_2KIB_BYTES);
    assert_int_equal(secret_cap(s), SECRET_2KIB_BYTES);
}

#define IN_ARENA(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ARENA(test_new_gives_the_bytes_asked_for_and_not_one_more),
        IN_ARENA(test_append_and_set_len_stop_at_what_was_asked_for),
        IN_ARENA(test_free_wipes_what_lies_past_the_capacity_too),
        IN_ARENA(test_new_after_free_of_a_shorter_one_has_its_own_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
