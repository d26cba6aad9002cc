#include "server/kms/remember.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "tests/kit/unit.h"

static const uint8_t realm[ENVELOPE_REALM] = {1, 2, 3};
static uint8_t room[REMEMBER_MAX + REMEMBER_ENTRY];
static struct seed_name names[SEEDS_MAX + 1];

static struct seed_name some_name(void)
{
    struct seed_name name = {.own = true,
                             .wrapped_len = ENVELOPE_WRAPPED_MAX,
                             .head = {.suite = ENVELOPE_SEED,
                                      .scheme = ENVELOPE_AES_GCM,
                                      .activation = 0x01020304,
                                      .born = 0xa1a2a3a4}};
    memcpy(name.head.realm, realm, sizeof(realm));
    memset(name.head.kek_id, 0x5a, KEK_ID_LEN);
    memset(name.wrapped, 0x77, ENVELOPE_WRAPPED_MAX);
    return name;
}

static struct span write_names(size_t n)
{
    struct writer w = writer_of(span_mut_of(room, sizeof(room)));
    struct seed_name name = some_name();
    remember_begin(&w, realm);
    for (size_t i = 0; i < n; i++) {
        remember_put(&w, &name);
    }
    assert_false(w.bad);
    return writer_done(&w);
}

static void test_parse_returns_what_was_written(void **state)
{
    (void)state;
    size_t n = 0;
    struct seed_name expected = some_name();
    assert_ok(remember_parse(write_names(2), realm, names, SEEDS_MAX, &n));
    assert_int_equal(n, 2);
    assert_memory_equal(&names[1], &expected, sizeof(expected));
}

static void test_parse_empty_list_is_fine(void **state)
{
    (void)state;
    size_t n = 9;
    assert_ok(remember_parse(write_names(0), realm, names, SEEDS_MAX, &n));
    assert_int_equal(n, 0);
}

static void test_parse_4096_fit_and_4097_are_refused(void **state)
{
    (void)state;
    size_t n = 0;
    struct span whole = write_names(SEEDS_MAX);
    assert_int_equal(whole.len, REMEMBER_MAX);
    assert_ok(remember_parse(whole, realm, names, SEEDS_MAX, &n));
    assert_int_equal(n, SEEDS_MAX);
    assert_fails(remember_parse(write_names(SEEDS_MAX + 1), realm, names, SEEDS_MAX, &n),
                 E_INVALID);
}

static void test_parse_of_every_cut_inside_an_entry_is_refused(void **state)
{
    (void)state;
    struct span whole = write_names(1);
    for (size_t len = 0; len < whole.len; len++) {
        size_t n = 0;
        if (len == REMEMBER_HEAD) {
            continue;
        }
        assert_fails(remember_parse(span_part(whole, 0, len), realm, names, SEEDS_MAX, &n),
                     E_INVALID);
    }
}

static void test_parse_of_another_realm_version_or_scheme_is_refused(void **state)
{
    (void)state;
    const size_t offsets[] = {0, 4, 4, 5, REMEMBER_HEAD, REMEMBER_HEAD + 1};
    const uint8_t changes[] = {0x01, 0x01, 0x02, 0x80, 0x02, 0x02};
    for (size_t i = 0; i < sizeof(changes); i++) {
        size_t n = 0;
        struct span whole = write_names(1);
        room[offsets[i]] ^= changes[i];
        assert_fails(remember_parse(whole, realm, names, SEEDS_MAX, &n), E_INVALID);
    }
}

static void test_parse_wrapped_of_a_wrong_length_is_refused(void **state)
{
    (void)state;
    size_t n = 0;
    struct span whole = write_names(1);
    uint8_t *length = &room[REMEMBER_HEAD + 26];
    length[1]++; /* 601 */
    room[whole.len] = 0;
    assert_fails(remember_parse(span_of(room, whole.len + 1), realm, names, SEEDS_MAX, &n),
                 E_INVALID);
    length[0] = length[1] = 0;
    assert_fails(remember_parse(span_of(room, REMEMBER_HEAD + 28), realm, names, SEEDS_MAX, &n),
                 E_INVALID);
}

/* A file of version 1, byte for byte, with one seed of another node and one of ours. */
#define V1_REALM   "\1\2\3\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define V1_KEK_ID  "kkkkkkkkkkkkkkkk"
#define V1_WRAPPED "\14iiiiiiiiiiiiccccccccccccccccccccccccccccccccttttttttttttttt"
static const char version_1[] = "P11S\1" V1_REALM "\0\1" V1_KEK_ID "\0\3\350\0"
                                "\0\7\320\1"
                                "\74" V1_WRAPPED "\1\1" V1_KEK_ID "\0\3\350\0"
                                "\0\7\320\2"
                                "\74" V1_WRAPPED;

static void test_parse_reads_version_1(void **state)
{
    (void)state;
    size_t n = 0;
    struct span old = span_of(version_1, sizeof(version_1) - 1);
    assert_int_equal(old.len, REMEMBER_HEAD + 2 * (27 + 60));
    assert_ok(remember_parse(old, realm, names, SEEDS_MAX, &n));
    assert_int_equal(n, 2);
    assert_false(names[0].own);
    assert_int_equal(names[0].head.born, 0x0007d001);
    assert_true(names[1].own);
    assert_int_equal(names[1].head.suite, ENVELOPE_SEED);
    assert_int_equal(names[1].head.scheme, ENVELOPE_AES_GCM);
    assert_int_equal(names[1].head.activation, 0x0003e800);
    assert_int_equal(names[1].head.born, 0x0007d002);
    assert_memory_equal(names[1].head.realm, realm, sizeof(realm));
    assert_memory_equal(names[1].head.kek_id, V1_KEK_ID, KEK_ID_LEN);
    assert_true(span_equal(seed_name_wrapped(&names[1]), span_of_text(V1_WRAPPED)));
}

static void test_what_version_1_said_is_written_as_version_2(void **state)
{
    (void)state;
    size_t n = 0;
    struct span old = span_of(version_1, sizeof(version_1) - 1);
    assert_ok(remember_parse(old, realm, names, SEEDS_MAX, &n));
    struct writer w = writer_of(span_mut_of(room, sizeof(room)));
    remember_begin(&w, realm);
    remember_put(&w, &names[0]);
    remember_put(&w, &names[1]);
    assert_int_equal(w.len, old.len + 2);
    assert_int_equal(room[4], 2);
    assert_memory_equal(room + REMEMBER_HEAD, version_1 + REMEMBER_HEAD, 26);
    assert_int_equal(room[REMEMBER_HEAD + 26], 0);
    assert_memory_equal(room + REMEMBER_HEAD + 27, version_1 + REMEMBER_HEAD + 26, 61);
}

static void test_parse_of_a_cut_version_1_is_refused(void **state)
{
    (void)state;
    size_t n = 0;
    assert_fails(
        remember_parse(span_of(version_1, sizeof(version_1) - 2), realm, names, SEEDS_MAX, &n),
        E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_returns_what_was_written),
        cmocka_unit_test(test_parse_empty_list_is_fine),
        cmocka_unit_test(test_parse_4096_fit_and_4097_are_refused),
        cmocka_unit_test(test_parse_of_every_cut_inside_an_entry_is_refused),
        cmocka_unit_test(test_parse_of_another_realm_version_or_scheme_is_refused),
        cmocka_unit_test(test_parse_wrapped_of_a_wrong_length_is_refused),
        cmocka_unit_test(test_parse_reads_version_1),
        cmocka_unit_test(test_what_version_1_said_is_written_as_version_2),
        cmocka_unit_test(test_parse_of_a_cut_version_1_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
