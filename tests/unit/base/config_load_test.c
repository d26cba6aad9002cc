#include "base/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/kit/unit.h"

#define TEXT                                                                                       \
    "version: 1\nring: prod\ntokens:\n  - module: /m.so\n    token: \"pkcs11:token=t\"\n"
#define WITH_CREDENTIAL TEXT "    pin_credential: pin\n"
#define FILE_LIMIT      (64u * 1024)

static char folder[] = "/tmp/config_load_XXXXXX";
static char path[128];

static int setup(void **state)
{
    (void)state;
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/config.yaml", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void put_file(const char *text, size_t pad)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    for (size_t i = 0; i < pad; i++) {
        (void)fputc('#', file);
    }
    assert_int_equal(fclose(file), 0);
}

static void test_load_file_remembers_its_path(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    put_file(WITH_CREDENTIAL, 0);
    assert_ok(config_load(path, &config, &problem));
    assert_string_equal(config.path, path);
    assert_string_equal(config.tokens[0].credentials_dir, "");
}

static void test_load_credentials_directory_is_taken_from_the_environment(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    put_file(WITH_CREDENTIAL, 0);
    (void)setenv("CREDENTIALS_DIRECTORY", "/run/credentials/p11-kms.service", 1);
    assert_ok(config_load(path, &config, &problem));
    assert_string_equal(config.tokens[0].credentials_dir, "/run/credentials/p11-kms.service");
    put_file(TEXT "    pin_file: /pin\n", 0);
    assert_ok(config_load(path, &config, &problem));
    assert_string_equal(config.tokens[0].credentials_dir, "");
    (void)unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_load_unusable_credentials_directory_is_refused(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    put_file(WITH_CREDENTIAL, 0);
    (void)setenv("CREDENTIALS_DIRECTORY", "relative", 1);
    assert_fails(config_load(path, &config, &problem), E_INVALID);
    assert_non_null(strstr(problem.text, "tokens.pin_credential: $CREDENTIALS_DIRECTORY"));
    char longer[300] = "/";
    memset(longer + 1, 'x', 255);
    (void)setenv("CREDENTIALS_DIRECTORY", longer, 1);
    assert_fails(config_load(path, &config, &problem), E_INVALID);
    (void)unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_load_wrong_content_is_invalid(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    put_file("version: 1\nring: UPPER\n", 0);
    assert_fails(config_load(path, &config, &problem), E_INVALID);
    assert_non_null(strstr(problem.text, "config.yaml:2: ring: value \"UPPER\""));
}

static void test_load_unreadable_file_is_a_system_error_with_its_reason(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    err_t err = config_load("/nonexistent/config.yaml", &config, &problem);
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, ENOENT);
    assert_string_equal(problem.text,
                        "/nonexistent/config.yaml: cannot be read: No such file or directory");
    assert_fails(config_load(folder, &config, &problem), E_SYSTEM);
    assert_non_null(strstr(problem.text, "Is a directory"));
}

static void test_load_file_at_the_size_limit_is_accepted_and_past_it_refused(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    put_file(WITH_CREDENTIAL, FILE_LIMIT - strlen(WITH_CREDENTIAL));
    assert_ok(config_load(path, &config, &problem));
    put_file(WITH_CREDENTIAL, FILE_LIMIT - strlen(WITH_CREDENTIAL) + 1);
    assert_fails(config_load(path, &config, &problem), E_INVALID);
    assert_non_null(strstr(problem.text, "the file is too large; accepted: at most 65536 bytes"));
}

static void test_parse_path_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    char name[CONFIG_PATH_LEN + 1];
    memset(name, 'n', CONFIG_PATH_LEN);
    name[CONFIG_PATH_LEN] = '\0';
    assert_fails(config_parse(name, WITH_CREDENTIAL, strlen(WITH_CREDENTIAL), &config, &problem),
                 E_INVALID);
    assert_non_null(strstr(problem.text, "the path of this file is too long"));
    assert_ok(config_parse(name + 1, WITH_CREDENTIAL, strlen(WITH_CREDENTIAL), &config, &problem));
}

static void test_waives_only_the_keys_that_are_listed(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    static const uint8_t listed[16] = {0xab, [15] = 1};
    static const uint8_t near[16] = {0xab, [15] = 2};
    put_file(TEXT "    pin_file: /pin\n    waive: [ffffffffffffffffffffffffffffffff, "
                  "ab000000000000000000000000000001]\n", 0);
    assert_ok(config_load(path, &config, &problem));
    assert_true(config_waives(&config.tokens[0], listed));
    assert_false(config_waives(&config.tokens[0], near));
    config.tokens[0].waive_n = 1; /* what lies past the end of the list does not count */
    assert_false(config_waives(&config.tokens[0], listed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_file_remembers_its_path),
        cmocka_unit_test(test_load_credentials_directory_is_taken_from_the_environment),
        cmocka_unit_test(test_load_unusable_credentials_directory_is_refused),
        cmocka_unit_test(test_load_wrong_content_is_invalid),
        cmocka_unit_test(test_load_unreadable_file_is_a_system_error_with_its_reason),
        cmocka_unit_test(test_load_file_at_the_size_limit_is_accepted_and_past_it_refused),
        cmocka_unit_test(test_parse_path_that_does_not_fit_is_refused),
        cmocka_unit_test(test_waives_only_the_keys_that_are_listed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
