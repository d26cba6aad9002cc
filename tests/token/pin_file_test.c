/* The file of the PIN: what is accepted, refused and named, before a try of the token is spent. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/kit/unit.h"
#include "tests/token/pin_fixture.h"

static void test_login_open_pin_file_is_refused_and_mended_in_place(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(chmod(fixture->rig->config.tokens[0].pin_file, 0640), 0);
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "chmod 0600"));
    assert_int_equal(chmod(fixture->rig->config.tokens[0].pin_file, 0600), 0);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 5000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

static void test_login_linked_pin_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    rig_path(fixture->rig, "token/real", path, sizeof(path));
    assert_int_equal(rename(fixture->rig->config.tokens[0].pin_file, path), 0);
    assert_int_equal(symlink(path, fixture->rig->config.tokens[0].pin_file), 0);
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "symbolic link"));
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 0);
}

/*
 * systemd keeps its credentials as root's, and lets the unit's user in by an access control list,
 * whose mask shows as the group's bits.
 */
static void test_login_credential_open_to_a_list_is_read_but_no_further(void **state)
{
    struct fixture *fixture = *state;
    struct config_token *config = &fixture->rig->config.tokens[0];
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chmod(config->pin_file, 0460), 0);
    config->pin_file[0] = '\0';
    (void)snprintf(config->pin_credential, sizeof(config->pin_credential), "pin");
    rig_path(fixture->rig, "token", config->credentials_dir, sizeof(config->credentials_dir));
    rig_start(fixture->rig);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    char path[256];
    rig_path(fixture->rig, "token/pin", path, sizeof(path));
    assert_int_equal(chmod(path, 0440), 0);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 5000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

/*
 * What systemd copied at the start stays as it was: correcting the file it came from is not enough.
 */
static void test_login_refused_credential_says_to_restart(void **state)
{
    struct fixture *fixture = *state;
    struct config_token *config = &fixture->rig->config.tokens[0];
    config->pin_file[0] = '\0';
    (void)snprintf(config->pin_credential, sizeof(config->pin_credential), "pin");
    rig_path(fixture->rig, "token", config->credentials_dir, sizeof(config->credentials_dir));
    refuse_once(fixture);
    assert_non_null(strstr(rig_status(fixture->rig).text, "restart the service"));
    (void)rig_stop(fixture->rig);
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "refused this PIN before"));
    assert_non_null(strstr(status.text, "restart the service"));
}

static void test_login_credential_without_a_folder_says_what_to_set(void **state)
{
    struct fixture *fixture = *state;
    struct config_token *config = &fixture->rig->config.tokens[0];
    config->pin_file[0] = '\0';
    (void)snprintf(config->pin_credential, sizeof(config->pin_credential), "pin");
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "$CREDENTIALS_DIRECTORY is not set"));
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 0);
}

/* What an editor or a shell may add to a PIN would cost a try of the token. */
static void test_login_content_that_is_no_pin_is_named_and_not_sent(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *content;
        const char *named;
    } rows[] = {{"1234\r\n", "carriage return"},
                {"1234\n\n", "more than one line"},
                {" 1234\n", "starts with a blank"},
                {"1234 \n", "ends with a blank"},
                {"12\t34", "control character"},
                {"\xef\xbb\xbf" "1234\n", "byte order mark"}};
    rig_write(fixture->rig, "token/pin", rows[0].content);
    rig_start(fixture->rig);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rig_write(fixture->rig, "token/pin", rows[i].content);
        wait_text(fixture, rows[i].named);
        assert_null(strstr(rig_status(fixture->rig).text, "1234"));
    }
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 0);
    rig_write(fixture->rig, "token/pin", fixture->right);
    (void)rig_wait_phase(fixture->rig, IPC_PHASE_READY, 10000);
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 1);
}

/* SoftHSM says that it takes 4 to 255 bytes. */
static void test_login_pin_shorter_than_the_token_takes_is_sent_by_order_only(void **state)
{
    struct fixture *fixture = *state;
    rig_write(fixture->rig, "token/pin", "123\n");
    rig_start(fixture->rig);
    wait_text(fixture, "shorter or longer");
    assert_int_equal(rig_shim_count(fixture->rig, "C_Login"), 0);
    rig_write(fixture->rig, record_name(fixture), "");
    wait_logins(fixture, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_login_open_pin_file_is_refused_and_mended_in_place),
        WITH_TOKEN(test_login_linked_pin_file_is_refused),
        WITH_TOKEN(test_login_credential_open_to_a_list_is_read_but_no_further),
        WITH_TOKEN(test_login_refused_credential_says_to_restart),
        WITH_TOKEN(test_login_credential_without_a_folder_says_what_to_set),
        WITH_TOKEN(test_login_content_that_is_no_pin_is_named_and_not_sent),
        WITH_TOKEN(test_login_pin_shorter_than_the_token_takes_is_sent_by_order_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
