#include "base/secret.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/poison.h"
#include "tests/kit/unit.h"

static const struct secret_budget small = {
    .amount =
        {[SECRET_SEED] = 2, [SECRET_2KIB] = 3, [SECRET_PROTO] = 4096, [SECRET_CRYPTO] = 1u << 20},
};

/* -1: nothing fails; n: the n-th wrapped call from now fails once. */
static int calls_until_failure = -1;
static int lock_error;

static bool fails_now(void)
{
    if (calls_until_failure < 0) {
        return false;
    }
    if (calls_until_failure-- > 0) {
        return false;
    }
    errno = ENOMEM;
    return true;
}

void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    return fails_now() ? MAP_FAILED : __real_mmap(at, len, prot, flags, fd, offset);
}

int __real_mlock(const void *at, size_t len);
int __wrap_mlock(const void *at, size_t len);
int __wrap_mlock(const void *at, size_t len)
{
    if (lock_error != 0) {
        errno = lock_error;
        return -1;
    }
    return fails_now() ? -1 : __real_mlock(at, len);
}

static size_t not_dumped; /* bytes */
static size_t not_forked;

int __real_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice)
{
    not_dumped += advice == MADV_DONTDUMP ? len : 0;
    not_forked += advice == MADV_WIPEONFORK || advice == MADV_DONTFORK ? len : 0;
    return fails_now() ? -1 : __real_madvise(at, len, advice);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

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
    assert_ok(secret_new(SECRET_2KIB, 100, &s));
    assert_int_equal(secret_cap(s), 100);
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
        assert_ok(secret_new(SECRET_2KIB, 2048, &s[i]));
    }
    struct secret *more = NULL;
    assert_fails(secret_new(SECRET_2KIB, 1, &more), E_LIMIT);
    assert_null(more);
    secret_free(s[1]);
    assert_ok(secret_new(SECRET_2KIB, 1, &s[1]));
    assert_int_equal(secret_peak(SECRET_2KIB), 3);
    for (int i = 0; i < 3; i++) {
        secret_free(s[i]);
    }
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
}

static void test_new_larger_than_a_block_is_refused(void **state)
{
    (void)state;
    struct secret *s = NULL;
    assert_fails(secret_new(SECRET_2KIB, 2049, &s), E_LIMIT);
    assert_fails(secret_new(SECRET_128KIB, 1, &s), E_LIMIT); /* the budget has none */
}

static void test_free_wipes_the_whole_capacity(void **state)
{
    (void)state;
    struct secret *s = NULL;
    assert_ok(secret_new(SECRET_2KIB, 2048, &s));
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
    assert_false(secret_equal(span_of("ab", 2), span_of("abc", 3)));
    assert_false(secret_equal(span_of("abc", 0), span_of("abc", 3)));
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
    assert_ok(secret_new(SECRET_2KIB, 8, &s));
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

static void test_serve_crypto_after_libcrypto_allocated_is_refused(void **state)
{
    (void)state;
    OPENSSL_free(OPENSSL_malloc(1));
    assert_fails(secret_serve_crypto(false), E_BUG);
}

static void test_init_keeps_every_part_from_dumps_and_from_children(void **state)
{
    (void)state;
    not_dumped = not_forked = 0;
    assert_ok(secret_init(&small));
    size_t hidden = secret_seeds_hidden() ? (size_t)sysconf(_SC_PAGESIZE) : 0;
    assert_int_equal(not_dumped, secret_locked_bytes() - hidden);
    assert_int_equal(not_forked, secret_locked_bytes());
    secret_done();
}

static void test_init_that_cannot_lock_fails_and_leaves_nothing(void **state)
{
    (void)state;
    lock_error = EPERM;
    assert_fails(secret_init(&small), E_SYSTEM);
    lock_error = 0;
    assert_int_equal(secret_locked_bytes(), 0);
    assert_ok(secret_init(&small));
    secret_done();
}

static void test_init_each_system_call_that_fails_is_reported(void **state)
{
    (void)state;
    for (int nth = 0; nth < 100; nth++) {
        calls_until_failure = nth;
        err_t err = secret_init(&small);
        bool reached = calls_until_failure < 0;
        calls_until_failure = -1;
        if (!reached) {
            assert_ok(err);
            secret_done();
            assert_true(nth >= 6);
            return;
        }
        if (failed(err)) {
            assert_int_equal(err.code, E_SYSTEM);
            assert_int_equal(secret_locked_bytes(), 0);
        } else {
            secret_done(); /* memfd_secret refused: the fallback holds */
        }
    }
    fail_msg("more calls than expected");
}

static void test_init_heap_that_is_no_power_of_two_is_a_bug(void **state)
{
    (void)state;
    static const struct secret_budget odd = {.amount = {[SECRET_PROTO] = 12000}};
    assert_fails(secret_init(&odd), E_BUG);
    assert_int_equal(secret_locked_bytes(), 0);
}

static void test_free_and_release_of_null_are_fine(void **state)
{
    (void)state;
    secret_free(NULL);
    secret_release(SECRET_PROTO, NULL);
    assert_null(secret_alloc(SECRET_PROTO, 1)); /* no arena */
}

static bool dies(void (*act)(struct secret *), struct secret *secret)
{
    pid_t child = fork();
    if (child == 0) {
        (void)close(STDERR_FILENO);
        (void)signal(SIGSEGV, SIG_DFL); /* cmocka's would go on with the next test */
        act(secret);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void free_twice(struct secret *secret)
{
    secret_free(secret);
    secret_free(secret);
}

static void set_len_past_the_end(struct secret *secret)
{
    secret_set_len(secret, secret_cap(secret) + 1);
}

static void leave_if_it_shows(struct secret *secret)
{
    _exit(secret_view(secret).ptr[0] == 'v' ? 0 : 1);
}

static void test_fork_child_sees_no_seed(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *s = NULL;
    assert_ok(secret_new(SECRET_SEED, 8, &s));
    assert_ok(secret_append(s, span_of("visible!", 8)));
    assert_true(dies(leave_if_it_shows, s));
    assert_memory_equal(secret_view(s).ptr, "visible!", 8);
}

static void release_twice(struct secret *unused)
{
    (void)unused;
    void *ptr = secret_alloc(SECRET_PROTO, 32);
    secret_release(SECRET_PROTO, ptr);
    secret_release(SECRET_PROTO, ptr);
}

static void test_broken_promises_abort(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *s = NULL;
    assert_ok(secret_new(SECRET_2KIB, 8, &s));
    assert_true(dies(free_twice, s));
    assert_true(dies(set_len_past_the_end, s));
    assert_true(dies(release_twice, s));
}

static void test_free_space_with_a_byte_left_behind_is_seen(void **state)
{
    (void)state;
    struct secret *s = NULL;
    assert_ok(secret_new(SECRET_2KIB, 8, &s));
    uint8_t *ptr = secret_room(s).ptr;
    secret_free(s);
    UNPOISON(ptr, 1);
    ptr[0] = 1;
    assert_false(secret_free_space_is_zero());
    UNPOISON(ptr, 1);
    ptr[0] = 0;
    POISON(ptr, 1);
    assert_true(secret_free_space_is_zero());
}

static void test_seeds_hidden_says_what_the_kernel_gave(void **state)
{
    (void)state;
    OWN_FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    bool found = false;
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        found = found || strstr(line, "secretmem") != NULL;
    }
    assert_int_equal(secret_seeds_hidden(), found);
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
        cmocka_unit_test_setup_teardown(test_fork_child_sees_no_seed, setup, teardown),
        cmocka_unit_test(test_serve_crypto_after_libcrypto_allocated_is_refused),
        cmocka_unit_test(test_init_keeps_every_part_from_dumps_and_from_children),
        cmocka_unit_test(test_init_that_cannot_lock_fails_and_leaves_nothing),
        cmocka_unit_test(test_init_each_system_call_that_fails_is_reported),
        cmocka_unit_test(test_init_heap_that_is_no_power_of_two_is_a_bug),
        cmocka_unit_test(test_free_and_release_of_null_are_fine),
        cmocka_unit_test_setup_teardown(test_broken_promises_abort, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_space_with_a_byte_left_behind_is_seen, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_seeds_hidden_says_what_the_kernel_gave, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
