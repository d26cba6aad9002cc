/* Where the PIN is, and what counts as a change there. */
#include "pkcs11/pin_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/unit.h"

static char folder[] = "/tmp/p11-kms-pin-file-XXXXXX";
static struct config_token config;

static void name_file(const char *name)
{
    (void)snprintf(config.pin_file, sizeof(config.pin_file), "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
    name_file(name);
    FILE *file = fopen(config.pin_file, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "%s\n", text) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(config.pin_file, 0600), 0);
}

static int set_up(void **state)
{
    (void)state;
    config = (struct config_token){.pin_credential = "credential"};
    (void)snprintf(folder, sizeof(folder), "%s", "/tmp/p11-kms-pin-file-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(config.credentials_dir, sizeof(config.credentials_dir), "%s", folder);
    write_file("credential", "5678");
    write_file("pin", "1234");
    return failed(secret_init(&secret_budget_token)) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    secret_done();
    name_file("credential");
    (void)unlink(config.pin_file);
    name_file("pin");
    (void)unlink(config.pin_file);
    return rmdir(folder);
}

static char why[512];

static void assert_reads(const char *pin)
{
    CLEANUP(secret_free_p) struct secret *secret = NULL;
    struct pin_source source = {0};
    assert_ok(pin_file_read(&config, &secret, &source, why, sizeof(why)));
    assert_true(span_equal(secret_view(secret), span_of_text(pin)));
    assert_true(source.known);
}

static void test_read_takes_the_file_else_the_credential(void **state)
{
    (void)state;
    assert_false(pin_file_is_credential(&config));
    assert_reads("1234");
    config.pin_file[0] = '\0';
    assert_true(pin_file_is_credential(&config));
    assert_reads("5678");
}

static void test_read_that_fails_names_the_file_and_the_reason(void **state)
{
    (void)state;
    struct secret *secret = NULL;
    struct pin_source source;
    assert_int_equal(unlink(config.pin_file), 0);
    assert_fails(pin_file_read(&config, &secret, &source, why, sizeof(why)), E_SYSTEM);
    assert_non_null(strstr(why, config.pin_file));
    assert_non_null(strstr(why, "No such file or directory"));
    write_file("pin", "12\t34");
    assert_fails(pin_file_read(&config, &secret, &source, why, sizeof(why)), E_INVALID);
    assert_non_null(strstr(why, "control character"));
    assert_null(secret);
}

static void test_read_of_a_credential_without_a_folder_says_what_to_set(void **state)
{
    (void)state;
    struct config_token lost = {.pin_credential = "credential"};
    struct secret *secret = NULL;
    struct pin_source source;
    assert_fails(pin_file_read(&lost, &secret, &source, why, sizeof(why)), E_INVALID);
    assert_non_null(strstr(why, "$CREDENTIALS_DIRECTORY is not set"));
}

static bool changes(const struct pin_look *since)
{
    struct pin_look now = pin_file_look(&config);
    return !pin_look_equal(since, &now);
}

static void test_look_changes_with_the_file_alone(void **state)
{
    (void)state;
    struct pin_look look = pin_file_look(&config);
    assert_true(look.there);
    assert_false(changes(&look));
    assert_int_equal(chmod(config.pin_file, 0400), 0);
    assert_true(changes(&look));
    look = pin_file_look(&config);
    assert_int_equal(unlink(config.pin_file), 0);
    assert_true(changes(&look));
    look = pin_file_look(&config);
    assert_false(look.there);
    assert_false(changes(&look));
    write_file("pin", "1234");
    assert_true(changes(&look));
}

#define FILE_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_read_takes_the_file_else_the_credential),
        FILE_TEST(test_read_that_fails_names_the_file_and_the_reason),
        FILE_TEST(test_read_of_a_credential_without_a_folder_says_what_to_set),
        FILE_TEST(test_look_changes_with_the_file_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
