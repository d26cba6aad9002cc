/* Which PIN files are read: whose, open to whom, how long. */
#include "pkcs11/pin_read.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/kit/unit.h"

static char folder[] = "/tmp/p11-kms-pin-file-XXXXXX";
static char path[64];
static char real[64]; /* what the path may be a link to */

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s", "/tmp/p11-kms-pin-file-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/pin", folder);
    (void)snprintf(real, sizeof(real), "%s/real", folder);
    return failed(secret_init(&secret_budget_token)) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(secret_in_use(SECRET_PIN), 0);
    assert_true(secret_free_space_is_zero());
    secret_done();
    (void)unlink(path);
    (void)unlink(real);
    return rmdir(folder);
}

static void write_file(const char *text, size_t len, mode_t mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static enum err_code read_it(bool credential, char *ret_pin)
{
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    struct pin_source source;
    err_t err = pin_read(path, credential, &pin, &source);
    if (!failed(err)) {
        struct span bytes = secret_view(pin);
        (void)snprintf(ret_pin, 300, "%.*s", (int)bytes.len, (const char *)bytes.ptr);
    }
    return err.code;
}

static void test_read_one_newline_at_the_end_is_cut(void **state)
{
    (void)state;
    char pin[300] = "";
    write_file("1234", 4, 0600);
    assert_int_equal(read_it(false, pin), E_NONE);
    assert_string_equal(pin, "1234");
    write_file("12 34\n", 6, 0600);
    assert_int_equal(read_it(false, pin), E_NONE);
    assert_string_equal(pin, "12 34");
}

static void test_read_length_limits_hold_at_and_past(void **state)
{
    (void)state;
    char pin[300];
    char text[258];
    memset(text, '7', sizeof(text));
    write_file(text, 0, 0600);
    assert_int_equal(read_it(false, pin), E_INVALID);
    write_file("\n", 1, 0600);
    assert_int_equal(read_it(false, pin), E_INVALID);
    write_file(text, 255, 0600);
    assert_int_equal(read_it(false, pin), E_NONE);
    write_file(text, 256, 0600);
    assert_int_equal(read_it(false, pin), E_INVALID);
    write_file(text, 258, 0600);
    assert_int_equal(read_it(false, pin), E_INVALID);
    text[255] = '\n';
    write_file(text, 256, 0600);
    assert_int_equal(read_it(false, pin), E_NONE);
    assert_int_equal(strlen(pin), 255);
}

static void test_read_open_to_others_is_refused(void **state)
{
    (void)state;
    static const mode_t open_to[] = {0640, 0620, 0610, 0604, 0602, 0601};
    char pin[300];
    for (size_t i = 0; i < sizeof(open_to) / sizeof(open_to[0]); i++) {
        write_file("1234", 4, open_to[i]);
        assert_int_equal(read_it(false, pin), E_INVALID);
        /* Only what root keeps for a service may be open to a list, and only for reading. */
        bool may = geteuid() == 0 && open_to[i] == 0640;
        assert_int_equal(read_it(true, pin), may ? E_NONE : E_INVALID);
    }
    write_file("1234", 4, 0400);
    assert_int_equal(read_it(false, pin), E_NONE);
}

static void test_read_of_another_user_is_refused(void **state)
{
    (void)state;
    char pin[300];
    if (geteuid() != 0) {
        skip();
    }
    write_file("1234", 4, 0600);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(read_it(false, pin), E_INVALID);
    assert_int_equal(read_it(true, pin), E_INVALID);
}

static void test_read_what_is_no_file_is_refused(void **state)
{
    (void)state;
    char pin[300];
    assert_int_equal(read_it(false, pin), E_SYSTEM);
    assert_int_equal(mkfifo(path, 0600), 0);
    int fifo = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(write(fifo, "1234", 4), 4);
    assert_int_equal(read_it(false, pin), E_INVALID);
    assert_int_equal(close(fifo), 0);
    assert_int_equal(unlink(path), 0);
    write_file("1234", 4, 0600);
    assert_int_equal(rename(path, real), 0);
    assert_int_equal(symlink(real, path), 0);
    assert_int_equal(read_it(false, pin), E_INVALID);
}

static void test_read_checks_what_is_left_after_one_line_end(void **state)
{
    (void)state;
    char pin[300];
    write_file("1234\n\n", 6, 0600);
    assert_int_equal(read_it(false, pin), E_INVALID);
    write_file("1234\r\n", 6, 0600);
    assert_int_equal(read_it(false, pin), E_INVALID);
}

static void test_read_says_which_file_it_was(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    struct pin_source source = {0};
    struct stat st;
    write_file("1234\n", 5, 0600);
    assert_ok(pin_read(path, false, &pin, &source));
    assert_int_equal(stat(path, &st), 0);
    assert_true(source.known);
    assert_int_equal(source.inode, st.st_ino);
    assert_int_equal(source.changed_s, st.st_ctim.tv_sec);
    assert_int_equal(source.changed_ns, st.st_ctim.tv_nsec);
}

/* As kubelet mounts a Secret: pin → ..data/pin → ..TIMESTAMP/pin, and open to a group. */
static void test_read_of_a_secret_mount_names_the_option(void **state)
{
    (void)state;
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    struct pin_source source;
    write_file("1234\n", 5, 0440);
    assert_non_null(strstr(pin_read(path, false, &pin, &source).what, "defaultMode: 0400"));
    assert_int_equal(rename(path, real), 0);
    assert_int_equal(symlink(real, path), 0);
    assert_non_null(strstr(pin_read(path, false, &pin, &source).what, "subPath"));
}

#define FILE_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_read_one_newline_at_the_end_is_cut),
        FILE_TEST(test_read_length_limits_hold_at_and_past),
        FILE_TEST(test_read_open_to_others_is_refused),
        FILE_TEST(test_read_of_another_user_is_refused),
        FILE_TEST(test_read_what_is_no_file_is_refused),
        FILE_TEST(test_read_checks_what_is_left_after_one_line_end),
        FILE_TEST(test_read_says_which_file_it_was),
        FILE_TEST(test_read_of_a_secret_mount_names_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
