/* Which file a token's record is read from and written to, and when an order is carried out. */
#include "pkcs11/pin_store.h"

#include <stdio.h>
#include <string.h>

#include "base/role.h"
#include "tests/kit/unit.h"

#define FILES 4u

/* The files as the keeper has them; the first is the one without a part. */
static struct {
    char part[STATE_PART_MAX];
    char text[PIN_RECORD_BYTES];
    bool there;
} files[FILES];

static err_t get_fails; /* OK: none */

err_t __wrap_role_get_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span_mut room, size_t *ret_len);
err_t __wrap_role_put_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span bytes);

static size_t index_of(const char *part)
{
    size_t i = 0;
    while (i < FILES && strcmp(files[i].part, part == NULL ? "" : part) != 0) {
        i++;
    }
    return i;
}

err_t __wrap_role_get_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span_mut room, size_t *ret_len)
{
    size_t i = index_of(part);
    assert_int_equal(control_fd, 7);
    assert_int_equal(file, STATE_PIN);
    TRY(get_fails);
    if (i == FILES || !files[i].there) {
        return FAIL(E_NOT_FOUND, "no record");
    }
    assert_true(span_copy(room, span_of_text(files[i].text)));
    *ret_len = strlen(files[i].text);
    return OK;
}

err_t __wrap_role_put_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span bytes)
{
    size_t i = index_of(part);
    size_t n = i;
    assert_int_equal(control_fd, 7);
    assert_int_equal(file, STATE_PIN);
    for (i = 0; n == FILES; i++) { /* a new one */
        n = i > 0 && files[i].part[0] == '\0' ? i : n;
    }
    (void)snprintf(files[n].part, sizeof(files[n].part), "%s", part == NULL ? "" : part);
    (void)snprintf(files[n].text, sizeof(files[n].text), "%.*s", (int)bytes.len,
                   (const char *)bytes.ptr);
    files[n].there = true;
    return OK;
}

#define SALT "p11-kms pin 2\nsalt=00112233445566778899aabbccddeeff\n"

static const struct pin_store store = {.control_fd = 7, .serial = "ab"}; /* "6162" */

static void put(size_t i, const char *part, const char *text)
{
    (void)snprintf(files[i].part, sizeof(files[i].part), "%s", part);
    (void)snprintf(files[i].text, sizeof(files[i].text), "%s", text);
    files[i].there = true;
}

static int set_up(void **state)
{
    (void)state;
    memset(files, 0, sizeof(files));
    get_fails = OK;
    return 0;
}

static struct pin_record loaded(bool ordered)
{
    struct pin_record record;
    bool is = !ordered;
    assert_ok(pin_store_load(&store, &record, &is));
    assert_int_equal(is, ordered);
    assert_int_equal(pin_store_is_ordered(&store), ordered);
    return record;
}

static void test_load_of_nothing_knows_nothing_and_draws_a_salt(void **state)
{
    (void)state;
    struct pin_record first = loaded(false);
    struct pin_record second = loaded(false);
    assert_true(first.has_salt);
    assert_int_equal(first.token.cut, 0);
    assert_memory_not_equal(first.salt, second.salt, PIN_RECORD_SALT);
}

static void test_load_takes_the_earlier_file_until_the_token_has_its_own(void **state)
{
    (void)state;
    put(0, "", SALT "token=6162 0 0 0 0 5 0 0 -\ntoken=78 0 0 0 0 9 0 0 -\n");
    struct pin_record record = loaded(false);
    assert_int_equal(record.token.cut, 5);
    assert_int_equal(record.salt[15], 0xff);
    record.token.cut = 6;
    assert_ok(pin_store_save(&store, &record));
    assert_non_null(strstr(files[0].text, "token=78 0 0 0 0 9"));
    assert_string_equal(files[1].part, "6162");
    assert_string_equal(files[1].text, SALT "token=6162 0 0 0 0 6 0 0 -\n");
    assert_int_equal(loaded(false).token.cut, 6);
}

static void test_load_of_what_is_no_record_is_a_cut_login(void **state)
{
    (void)state;
    put(1, "6162", "else\n");
    assert_int_equal(loaded(false).token.cut, 1);
    get_fails = FAIL(E_LIMIT, "a state file is too long");
    assert_int_equal(loaded(false).token.cut, 1);
    get_fails = FAIL(E_INVALID, "a state file is shorter than was said");
    assert_int_equal(loaded(false).token.cut, 1);
}

static void test_load_that_fails_is_told(void **state)
{
    (void)state;
    struct pin_record record;
    bool ordered = false;
    get_fails = FAIL_DETAIL(E_SYSTEM, 5, "the keeper could not read a state file");
    assert_fails(pin_store_load(&store, &record, &ordered), E_SYSTEM);
    assert_false(pin_store_is_ordered(&store));
}

static void test_order_is_an_empty_record_or_an_empty_file_for_any_token(void **state)
{
    (void)state;
    put(0, "", "");
    assert_int_equal(loaded(true).token.cut, 0);
    put(1, "6162", SALT);
    (void)loaded(false);
    put(1, "6162", "");
    (void)loaded(true);
}

static void test_order_that_was_carried_out_is_no_order_for_another_token(void **state)
{
    (void)state;
    put(0, "", "");
    struct pin_record record = loaded(true);
    record.token.pending = true;
    record.failed_n = 1;
    assert_ok(pin_store_save(&store, &record));
    (void)loaded(false);
    assert_ok(pin_store_end_order(&store, &record));
    const struct pin_store other = {.control_fd = 7, .serial = "x"};
    assert_false(pin_store_is_ordered(&other));
    /* And says nothing of this one, should its own file be lost. */
    files[1].there = false;
    record = loaded(false);
    assert_false(record.token.pending);
    assert_int_equal(record.failed_n, 0);
}

static void test_order_ends_without_harm_to_what_an_earlier_build_wrote(void **state)
{
    (void)state;
    put(0, "", SALT "token=78 0 0 0 0 9 0 0 -\n");
    put(1, "6162", "");
    struct pin_record record = loaded(true);
    assert_ok(pin_store_end_order(&store, &record));
    assert_non_null(strstr(files[0].text, "token=78 0 0 0 0 9"));
}

static void test_earlier_file_loses_the_hashes_of_this_token_alone(void **state)
{
    (void)state;
#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    static const char of_others[] = SALT "token=6162 0 1 0 0 0 0 9 1.2.3\nfailed=61 " HASH " -\n";
    put(0, "",
        SALT "token=6162 0 1 0 0 0 0 9 1.2.3\nfailed=6162 " HASH " -\nfailed=61 " HASH " -\n");
    assert_ok(pin_store_end_earlier(&store));
    assert_string_equal(files[0].text, of_others);
    assert_ok(pin_store_end_earlier(&store));
    assert_string_equal(files[0].text, of_others);
    /* Form 1 kept that of the good PIN, too. */
    put(0, "", "p11-kms pin 1\nsalt=\nentry=* none - 0 0 0\nentry=6162 good " HASH " 1 0 0\n");
    assert_ok(pin_store_end_earlier(&store));
    assert_string_equal(files[0].text, "p11-kms pin 1\nsalt=\nentry=* none - 0 0 0\n");
    put(0, "", ""); /* an order is none of it */
    assert_ok(pin_store_end_earlier(&store));
    assert_true(pin_store_is_ordered(&store));
    get_fails = FAIL_DETAIL(E_SYSTEM, 5, "the keeper could not read a state file");
    assert_fails(pin_store_end_earlier(&store), E_SYSTEM);
}

static void test_earlier_file_that_is_not_there_is_not_made(void **state)
{
    (void)state;
    assert_ok(pin_store_end_earlier(&store));
    assert_false(files[0].there);
}

static void test_save_names_the_file_by_the_serial(void **state)
{
    (void)state;
    static const struct {
        const char *serial;
        const char *part;
    } rows[] = {
        {"", "00"}, {"0123456789abcdef", "30313233343536373839616263646566"}, {"\xc3\xa4", "c3a4"}};
    const struct pin_record record = {.has_salt = true};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct pin_store named = {.control_fd = 7, .serial = rows[i].serial};
        assert_ok(pin_store_save(&named, &record));
        assert_string_equal(files[i + 1].part, rows[i].part);
    }
    assert_false(files[0].there);
}

#define STORE_TEST(test_) cmocka_unit_test_setup(test_, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_load_of_nothing_knows_nothing_and_draws_a_salt),
        STORE_TEST(test_load_takes_the_earlier_file_until_the_token_has_its_own),
        STORE_TEST(test_load_of_what_is_no_record_is_a_cut_login),
        STORE_TEST(test_load_that_fails_is_told),
        STORE_TEST(test_order_is_an_empty_record_or_an_empty_file_for_any_token),
        STORE_TEST(test_order_that_was_carried_out_is_no_order_for_another_token),
        STORE_TEST(test_order_ends_without_harm_to_what_an_earlier_build_wrote),
        STORE_TEST(test_earlier_file_loses_the_hashes_of_this_token_alone),
        STORE_TEST(test_earlier_file_that_is_not_there_is_not_made),
        STORE_TEST(test_save_names_the_file_by_the_serial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
