/* The table of keys lives as long as its process: each test has a ring and ids of its own. */
#include <stdio.h>
#include <string.h>

#include "pkcs11/activation.h"
#include "pkcs11/key.h"
#include "tests/kit/unit.h"

static char ring[16];
static CK_OBJECT_HANDLE last_handle;

static int set_up(void **state)
{
    static unsigned n;
    (void)state;
    (void)snprintf(ring, sizeof(ring), "r%u", ++n);
    return 0;
}

/* A ring key that was read to the end, under a handle that nobody else has. */
static struct key key_of(uint8_t id)
{
    struct key key = {.kek = {.handles = {++last_handle}}, .info = {.state = IPC_KEY_READ}};
    (void)snprintf(key.info.label, sizeof(key.info.label), "p11k:%s:00000001:00000001", ring);
    key.info.activation = activation_of_label(key.info.label);
    key.info.ref.id_len = sizeof(key.info.ref.id);
    memset(key.info.ref.id, id, sizeof(key.info.ref.id));
    memcpy(key.info.ref.id, ring, strlen(ring));
    key.info.ref.fingerprint_len = 1;
    return key;
}

static bool is_missing(const struct key *listed, size_t n)
{
    struct wrap_kek keks[4];
    struct key gone;
    for (size_t i = 0; i < n; i++) {
        keks[i] = listed[i].kek;
    }
    return keys_missing(ring, keks, n, &gone);
}

static void test_put_key_is_found_by_handle_and_by_name(void **state)
{
    (void)state;
    struct key key = key_of(1);
    struct key found;
    assert_false(keys_by_handle(key.kek.handles[0], &found));
    assert_false(keys_by_ref(&key.info.ref, &found));
    keys_put(&key);
    assert_true(keys_by_handle(key.kek.handles[0], &found));
    assert_true(keys_by_ref(&key.info.ref, &found));
    assert_string_equal(found.info.label, key.info.label);
}

static void test_by_ref_same_id_and_another_fingerprint_is_another_key(void **state)
{
    (void)state;
    struct key key = key_of(1);
    struct key found;
    keys_put(&key);
    key.info.ref.fingerprint[0] ^= 1;
    assert_false(keys_by_ref(&key.info.ref, &found));
    assert_false(keys_expected(&key.info.ref));
}

static void test_by_ref_key_that_could_not_be_read_is_not_found(void **state)
{
    (void)state;
    struct key key = key_of(1);
    struct key found;
    key.info.state = IPC_KEY_UNREADABLE;
    keys_put(&key);
    assert_true(keys_by_handle(key.kek.handles[0], &found));
    assert_false(keys_by_ref(&key.info.ref, &found));
    assert_false(keys_expected(&key.info.ref));
    assert_false(is_missing(NULL, 0));
}

static void test_put_same_handle_replaces(void **state)
{
    (void)state;
    struct key key = key_of(1);
    struct key found;
    keys_put(&key);
    key.info.bad = IPC_ATTR_WRAP;
    keys_put(&key);
    assert_true(keys_by_ref(&key.info.ref, &found));
    assert_int_equal(found.info.bad, IPC_ATTR_WRAP);
}

static void test_drop_handle_key_is_not_found_and_stays_expected(void **state)
{
    (void)state;
    struct key key = key_of(1);
    struct key found;
    keys_put(&key);
    keys_drop_handle(key.kek.handles[0]);
    assert_false(keys_by_handle(key.kek.handles[0], &found));
    assert_false(keys_by_ref(&key.info.ref, &found));
    assert_true(keys_expected(&key.info.ref));
    assert_true(is_missing(&key, 1)); /* its handle is no proof any more */
}

static void test_put_dropped_key_under_a_new_handle_takes_its_old_place(void **state)
{
    (void)state;
    struct key key = key_of(1);
    struct key found;
    keys_put(&key);
    keys_drop_handle(key.kek.handles[0]);
    key.kek.handles[0] = ++last_handle;
    keys_put(&key);
    assert_true(keys_by_ref(&key.info.ref, &found));
    assert_int_equal(found.kek.handles[0], last_handle);
    assert_false(is_missing(&key, 1));
}

static void test_put_second_object_of_one_value_keeps_both(void **state)
{
    (void)state;
    struct key both[2] = {key_of(1), key_of(1)};
    struct key found;
    keys_put(&both[0]);
    keys_put(&both[1]);
    assert_true(keys_by_handle(both[0].kek.handles[0], &found));
    assert_true(keys_by_handle(both[1].kek.handles[0], &found));
    assert_false(is_missing(both, 2));
    assert_true(is_missing(both, 1));
}

static void test_missing_names_the_ring_key_that_is_not_listed(void **state)
{
    (void)state;
    struct key listed[2] = {key_of(1), key_of(2)};
    struct key gone;
    keys_put(&listed[0]);
    keys_put(&listed[1]);
    assert_false(is_missing(listed, 2));
    assert_true(keys_missing(ring, &listed[0].kek, 1, &gone));
    assert_int_equal(gone.kek.handles[0], listed[1].kek.handles[0]);
    assert_false(keys_missing("another", NULL, 0, &gone));
}

/* Last: it stays full. */
static void test_put_full_table_takes_nothing_and_forgets_nothing(void **state)
{
    (void)state;
    struct key first = key_of(1);
    struct key found;
    keys_put(&first);
    for (size_t i = 0; i < KEYS_MAX; i++) {
        struct key other = key_of(2);
        other.info.ref.fingerprint_len = sizeof(i);
        memcpy(other.info.ref.fingerprint, &i, sizeof(i));
        keys_put(&other);
    }
    struct key late = key_of(3);
    keys_put(&late);
    assert_false(keys_by_handle(late.kek.handles[0], &found));
    assert_true(keys_by_ref(&first.info.ref, &found));
}

#define TABLE_TEST(test_) cmocka_unit_test_setup(test_, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(test_put_key_is_found_by_handle_and_by_name),
        TABLE_TEST(test_by_ref_same_id_and_another_fingerprint_is_another_key),
        TABLE_TEST(test_by_ref_key_that_could_not_be_read_is_not_found),
        TABLE_TEST(test_put_same_handle_replaces),
        TABLE_TEST(test_drop_handle_key_is_not_found_and_stays_expected),
        TABLE_TEST(test_put_dropped_key_under_a_new_handle_takes_its_old_place),
        TABLE_TEST(test_put_second_object_of_one_value_keeps_both),
        TABLE_TEST(test_missing_names_the_ring_key_that_is_not_listed),
        TABLE_TEST(test_put_full_table_takes_nothing_and_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
