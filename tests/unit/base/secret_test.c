#include "base/secret.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/poison.h"
#include "tests/kit/unit.h"

static const struct secret_budget small = {
    .amount = {[SECRET_SEED] = 2, [SECRET_SLOT] = 3, [SECRET_PROTO] = 4096, [SECRET_CRYPTO] = 1u << 20},
};

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&small)) ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    secret_done();
    return 0;
}

static void test_new_fresh_block_is_zero_and_empty(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *s = NULL;
    assert_ok(secret_new(SECRET_SLOT, 100, &s));
    assert_int_equal(secret_cap(s), 2048);
    assert_int_equal(secret_view(s).len, 0);
    struct span_mut room = secret_room(s);
    for (size_t i = 0; i < room.len; i++) {
        assert_int_equal(room.ptr[i], 0);
    }
}

static void test_new_part_used_up_refuses_and_serves_again_after_free(void **state)
{
    (void)state;
    struct secret *s[3] = {0};
    for (int i = 0; i < 3; i++) {
        assert_ok(secret_new(SECRET_SLOT, 2048, &s[i]));
    }
    struct secret *more = NULL;
    assert_fails(secret_new(SECRET_SLOT, 1, &more), E_LIMIT);
    assert_null(more);
    secret_free(s[1]);
    assert_ok(secret_new(SECRET_SLOT, 1, &s[1]));
    assert_int_equal(secret_peak(SECRET_SLOT), 3);
    for (int i = 0; i < 3; i++) {
        secret_free(s[i]);
    }
    assert_int_equal(secret_in_use(SECRET_SLOT), 0);
}

static void test_new_larger_than_a_block_is_refused(void **state)
{
    (void)state;
    struct secret *s = NULL;
    assert_fails(secret_new(SECRET_SLOT, 2049, &s), E_LIMIT);
    assert_fails(secret_new(SECRET_LARGE, 1, &s), E_LIMIT); /* the budget has none */
}

static void test_free_wipes_the_whole_capacity(void **state)
{
    (void)state;
    struct secret *s = NULL;
    assert_ok(secret_new(SECRET_SLOT, 2048, &s));
    memset(secret_room(s).ptr, 0xa5, 2048);
    secret_set_len(s, 16);
    secret_free(s);
    assert_true(secret_free_space_is_zero());
}

static void test_set_len_shorter_wipes_the_rest(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *s = NULL;
    assert_ok(secret_new(SECRET_SEED, 64, &s));
    assert_ok(secret_append(s, span_of("0123456789", 10)));
    secret_set_len(s, 4);
    assert_memory_equal(secret_room(s).ptr, "0123\0\0\0\0\0\0", 10);
}

static void test_append_past_capacity_changes_nothing(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *s = NULL;
    uint8_t bytes[65] = {1};
    assert_ok(secret_new(SECRET_SEED, 64, &s));
    assert_fails(secret_append(s, span_of(bytes, 65)), E_LIMIT);
    assert_ok(secret_append(s, span_of(bytes, 64)));
    assert_fails(secret_append(s, span_of(bytes, 1)), E_LIMIT);
    assert_int_equal(secret_view(s).len, 64);
}

static void test_equal_compares_contents_and_length(void **state)
{
    (void)state;
    assert_true(secret_equal(span_of("abc", 3), span_of("abc", 3)));
    assert_false(secret_equal(span_of("abc", 3), span_of("abd", 3)));
    assert_false(secret_equal(span_of("abc", 3), span_of("ab", 2)));
}

static void test_alloc_heap_part_used_up_returns_null(void **state)
{
    (void)state;
    void *all = secret_alloc(SECRET_PROTO, 4096);
    assert_non_null(all);
    assert_null(secret_alloc(SECRET_PROTO, 1));
    secret_release(SECRET_PROTO, all);
    assert_true(secret_free_space_is_zero());
    assert_int_equal(secret_in_use(SECRET_PROTO), 0);
}

/* The locked pages of this process in kB, by the kernel's own account. */
static long locked_kb(void)
{
    OWN_FILE *status = fopen("/proc/self/status", "r");
    char line[128];
    long kb = -1;
    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        (void)sscanf(line, "VmLck: %ld kB", &kb);
    }
    return kb;
}

static void test_init_locks_what_it_says(void **state)
{
    (void)state;
#if defined(POISON_ACTIVE) || defined(__SANITIZE_THREAD__)
    /* The sanitizers turn mlock into a success that does nothing: the release build proves this. */
    assert_true(secret_locked_bytes() > 0);
#else
    assert_int_equal(locked_kb() * 1024, (long)secret_locked_bytes());
#endif
    (void)locked_kb;
}

static void test_fork_child_sees_wiped_memory(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *s = NULL;
    assert_ok(secret_new(SECRET_SLOT, 8, &s));
    assert_ok(secret_append(s, span_of("visible!", 8)));
    pid_t child = fork();
    if (child == 0) {
        _exit(secret_view(s).ptr[0] == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_memory_equal(secret_view(s).ptr, "visible!", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_fresh_block_is_zero_and_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_part_used_up_refuses_and_serves_again_after_free,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_larger_than_a_block_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_wipes_the_whole_capacity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set_len_shorter_wipes_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_past_capacity_changes_nothing, setup, teardown),
        cmocka_unit_test(test_equal_compares_contents_and_length),
        cmocka_unit_test_setup_teardown(test_alloc_heap_part_used_up_returns_null, setup, teardown),
        cmocka_unit_test_setup_teardown(test_init_locks_what_it_says, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fork_child_sees_wiped_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
