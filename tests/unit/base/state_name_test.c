/* What the files of the state folder are called, and no other can be named. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state.h"
#include "tests/kit/unit.h"

#define REALM "00112233445566778899aabbccddeeff"
#define LONG  "0123456789abcdef0123456789abcdef" /* as a part: at its limit */

static char folder[] = "/tmp/p11-kms-name-XXXXXX";
static struct state_dir dir;

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s", "/tmp/p11-kms-name-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_ok(state_open(folder, REALM, false, &dir));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"pin", "pin.lock", "pin.aa", ("pin." LONG), "seeds.bb"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)unlinkat(dir.fd, names[i], 0);
    }
    state_close(&dir);
    return rmdir(folder);
}

static void assert_named(enum state_file file, const char *part, const char *wanted)
{
    char name[STATE_NAME_MAX] = "";
    assert_ok(state_file_name(&dir, file, part, name));
    assert_string_equal(name, wanted);
}

static void test_name_has_realm_or_part_where_it_belongs(void **state)
{
    (void)state;
    assert_named(STATE_CURRENT, NULL, "current." REALM);
    assert_named(STATE_SEEDS, "", "seeds." REALM);
    assert_named(STATE_HEALTH, NULL, "health");
    assert_named(STATE_PIN, NULL, "pin");
    assert_named(STATE_PIN, "", "pin");
    assert_named(STATE_PIN, "0", "pin.0");
    assert_named(STATE_PIN, LONG, "pin." LONG);
}

static void test_name_of_no_such_file_or_part_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {LONG "0", "lock", "AA",  "a/b", "..",
                                      "/",      "aa ",  "aa.", "-",   "\xc3\xa4"};
    char name[STATE_NAME_MAX] = "untouched";
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_fails(state_file_name(&dir, STATE_PIN, bad[i], name), E_INVALID);
    }
    assert_fails(state_file_name(&dir, STATE_HEALTH, "aa", name), E_INVALID);
    assert_fails(state_file_name(&dir, STATE_SEEDS, "aa", name), E_INVALID);
    assert_fails(state_file_name(&dir, STATE_FILES, NULL, name), E_INVALID);
    assert_string_equal(name, "untouched");
}

static void put(const char *name, const char *text)
{
    int fd = openat(dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static void test_find_part_comes_to_an_end_when_all_are_empty(void **state)
{
    (void)state;
    char part[STATE_PART_MAX] = "";
    size_t found = 0;
    put("pin", "x");
    put("pin.lock", "x");
    put("seeds.bb", "x");
    assert_fails(state_find_part(&dir, STATE_PIN, part), E_NOT_FOUND);
    put("pin.aa", "x");
    put("pin." LONG, "x");
    while (!failed(state_find_part(&dir, STATE_PIN, part))) {
        char name[STATE_NAME_MAX] = "";
        assert_ok(state_file_name(&dir, STATE_PIN, part, name));
        put(name, "");
        found++;
    }
    assert_int_equal(found, 2);
}

static void test_find_part_of_what_has_none_is_refused(void **state)
{
    (void)state;
    char part[STATE_PART_MAX] = "";
    assert_fails(state_find_part(&dir, STATE_SEEDS, part), E_INVALID);
    assert_fails(state_find_part(&dir, STATE_FILES, part), E_INVALID);
}

#define NAME_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAME_TEST(test_name_has_realm_or_part_where_it_belongs),
        NAME_TEST(test_name_of_no_such_file_or_part_is_refused),
        NAME_TEST(test_find_part_comes_to_an_end_when_all_are_empty),
        NAME_TEST(test_find_part_of_what_has_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
