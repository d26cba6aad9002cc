#include "base/config.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "tests/unit/base/config_sample.h"

static void test_parse_smallest_file_has_every_default(void **state)
{
    (void)state;
    struct config config = parsed(HEAD TOKEN);
    assert_int_equal(config.magic, CONFIG_MAGIC);
    assert_int_equal(config.version, CONFIG_VERSION);
    assert_string_equal(config.build_id, P11KMS_BUILD_ID);
    assert_string_equal(config.path, "c.yaml");
    assert_string_equal(config.ring, "prod-eu");
    assert_int_equal(config.seed_life_s, 86400);
    assert_int_equal(config.activation_delay_s, 300);
    assert_int_equal(config.derived_keys, 1024);
    assert_int_equal(config.mode, CONFIG_MODE_SEED);
    assert_int_equal(config.rotation, CONFIG_ROTATION_MANUAL);
    assert_int_equal(config.status_version, CONFIG_STATUS_AUTO);
    assert_int_equal(config.kms_v1, CONFIG_V1_ON);
    assert_int_equal(config.on_token_loss, CONFIG_LOSS_COAST);
    assert_int_equal(config.coast_s, 3600);
    assert_int_equal(config.soft_max_s, 86400);
    assert_string_equal(config.state_dir, "/var/lib/p11-kms");
    assert_int_equal(config.log_format, LOG_FORMAT_TEXT);
    assert_int_equal(config.log_level, LOG_LEVEL_INFO);
}

static void test_parse_smallest_file_has_defaults_of_listen_and_token(void **state)
{
    (void)state;
    struct config config = parsed(HEAD TOKEN);
    assert_string_equal(config.listen.socket, "/run/p11-kms/kms.sock");
    assert_int_equal(config.listen.mode, 0600);
    assert_int_equal(config.listen.owner, CONFIG_ID_OWN);
    assert_int_equal(config.listen.group, CONFIG_ID_OWN);
    assert_int_equal(config.listen.allowed_uids_n, 1);
    assert_int_equal(config.listen.allowed_uids[0], 0);
    assert_string_equal(config.tokens[0].name, "main");
    assert_string_equal(config.tokens[0].module, "/lib/m.so");
    assert_string_equal(config.tokens[0].uri, "pkcs11:token=t");
    assert_string_equal(config.tokens[0].pin_file, "/etc/pin");
    assert_string_equal(config.tokens[0].pin_credential, "");
    assert_string_equal(config.tokens[0].credentials_dir, "");
    assert_int_equal(config.tokens_n, 1);
    assert_int_equal(config.tokens[0].sessions, 4);
    assert_int_equal(config.tokens[0].scheme, CONFIG_SCHEME_AES_GCM);
    assert_int_equal(config.tokens[0].iv_mode, CONFIG_IV_HOST);
    assert_int_equal(config.tokens[0].start_timeout_s, 120);
    assert_int_equal(config.tokens[0].env_n, 0);
    assert_int_equal(config.tokens[0].waive_n, 0);
    assert_string_equal(config.tokens[0].init_args, "");
}

static void test_parse_full_file_keeps_every_value(void **state)
{
    (void)state;
    struct config config = parsed(
        "version: 1\nring: a\nmode: seed\nrotation: manual\nseed_life: 7d\nactivation_delay: 0s\n"
        "derived_keys: 0\nstatus_version: v2beta1\nkms_v1: off\n"
        "listen: {socket: \"@kms\", mode: \"0660\", owner: 12, group: 34, allowed_uids: [0, "
        "65534]}\n"
        "tokens: [{name: hsm-1, module: /m.so, token: 'pkcs11:serial=1', pin_credential: pin,\n"
        "  sessions: 64, scheme: aes-gcm, iv_mode: host, start_timeout: 30m,\n"
        "  env: {SOFTHSM2_CONF: /etc/s.conf, _X9: '1'}, init_args: \"configdir='/n'\",\n"
        "  waive: [00112233445566778899aabbccddeeff]}]\n"
        "health: {on_token_loss: hard, coast: 0s, soft_max: 30d}\nstate_dir: /s\n"
        "log: {format: json, level: error}\n");
    assert_int_equal(config.seed_life_s, 7 * 86400);
    assert_int_equal(config.activation_delay_s, 0);
    assert_int_equal(config.derived_keys, 0);
    assert_int_equal(config.status_version, CONFIG_STATUS_V2BETA1);
    assert_int_equal(config.kms_v1, CONFIG_V1_OFF);
    assert_string_equal(config.listen.socket, "@kms");
    assert_int_equal(config.listen.mode, 0660);
    assert_int_equal(config.listen.owner, 12);
    assert_int_equal(config.listen.group, 34);
    assert_int_equal(config.listen.allowed_uids_n, 2);
    assert_int_equal(config.listen.allowed_uids[1], 65534);
    assert_string_equal(config.tokens[0].name, "hsm-1");
    assert_string_equal(config.tokens[0].pin_credential, "pin");
    assert_int_equal(config.tokens[0].sessions, 64);
    assert_int_equal(config.tokens[0].start_timeout_s, 1800);
    assert_int_equal(config.tokens[0].env_n, 2);
    assert_string_equal(config.tokens[0].env[0], "SOFTHSM2_CONF=/etc/s.conf");
    assert_string_equal(config.tokens[0].env[1], "_X9=1");
    assert_string_equal(config.tokens[0].init_args, "configdir='/n'");
    assert_int_equal(config.tokens[0].waive_n, 1);
    assert_int_equal(config.tokens[0].waive[0].kek_id[0], 0x00);
    assert_int_equal(config.tokens[0].waive[0].kek_id[15], 0xff);
    assert_int_equal(config.on_token_loss, CONFIG_LOSS_HARD);
    assert_int_equal(config.coast_s, 0);
    assert_int_equal(config.soft_max_s, 30 * 86400);
    assert_int_equal(config.log_format, LOG_FORMAT_JSON);
    assert_int_equal(config.log_level, LOG_LEVEL_ERROR);
}

static void test_parse_owner_and_group_by_name_are_looked_up(void **state)
{
    (void)state;
    struct config config = parsed(HEAD TOKEN "listen: {owner: root, group: \"daemon\"}\n");
    assert_int_equal(config.listen.owner, 0);
    assert_non_null(getgrnam("daemon"));
    assert_int_equal(config.listen.group, getgrnam("daemon")->gr_gid);
}

static void test_parse_values_at_their_limits_are_accepted(void **state)
{
    (void)state;
    assert_int_equal(parsed(HEAD TOKEN "seed_life: 10m\n").seed_life_s, 600);
    assert_int_equal(parsed(HEAD TOKEN "seed_life: 168h\n").seed_life_s, 604800);
    assert_int_equal(parsed(HEAD TOKEN "activation_delay: 30d\n").activation_delay_s, 2592000);
    assert_int_equal(parsed(HEAD TOKEN "    sessions: 1\n").tokens[0].sessions, 1);
    assert_int_equal(parsed(HEAD TOKEN "    start_timeout: 1s\n").tokens[0].start_timeout_s, 1);
    assert_int_equal(parsed(HEAD TOKEN "listen: {owner: 4294967294}\n").listen.owner, 4294967294u);
    assert_int_equal(parsed(HEAD TOKEN "listen: {mode: \"0777\"}\n").listen.mode, 0777);
    assert_string_equal(parsed("version: 1\nring: abcdefghi\n" TOKEN).ring, "abcdefghi");
}

static void test_parse_socket_of_107_bytes_is_accepted(void **state)
{
    (void)state;
    char text[512];
    char path[108] = "/";
    (void)memset(path + 1, 'x', 106);
    path[107] = '\0';
    (void)snprintf(text, sizeof(text), HEAD TOKEN "listen: {socket: %s}\n", path);
    assert_string_equal(parsed(text).listen.socket, path);
}

static void test_parse_lists_at_their_limits_are_accepted(void **state)
{
    (void)state;
    char text[4096];
    size_t len = (size_t)snprintf(text, sizeof(text), HEAD TOKEN "    waive:\n");
    for (unsigned i = 0; i < CONFIG_WAIVE_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "      - \"%032x\"\n", i);
    }
    len += (size_t)snprintf(text + len, sizeof(text) - len, "    env:\n");
    for (unsigned i = 0; i < CONFIG_ENV_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "      E%u: x\n", i);
    }
    len += (size_t)snprintf(text + len, sizeof(text) - len, "listen:\n  allowed_uids:\n");
    for (unsigned i = 0; i < CONFIG_UIDS_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "    - %u\n", i);
    }
    struct config config = parsed(text);
    assert_int_equal(config.tokens[0].waive_n, CONFIG_WAIVE_MAX);
    assert_int_equal(config.tokens[0].waive[15].kek_id[15], 15);
    assert_int_equal(config.tokens[0].env_n, CONFIG_ENV_MAX);
    assert_int_equal(config.listen.allowed_uids_n, CONFIG_UIDS_MAX);
    assert_int_equal(config.listen.allowed_uids[31], 31);
}

static void test_parse_same_text_gives_the_same_bytes(void **state)
{
    (void)state;
    struct config one = parsed(HEAD TOKEN);
    struct config two = parsed("# a comment\n" TOKEN HEAD);
    assert_memory_equal(&one, &two, sizeof(one));
}

static void test_print_schema_names_every_setting_with_range_and_default(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    config_print_schema(out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "ring "));
    assert_non_null(strstr(text, "1..9 characters of [a-z0-9-]; required; "));
    assert_non_null(strstr(text, "in 10m..7d; default 24h; "));
    assert_non_null(strstr(text, "health.on_token_loss   coast, soft, hard; default coast; "));
    assert_non_null(strstr(text, "tokens.pin_credential "));
    assert_null(strstr(text, "%"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_smallest_file_has_every_default),
        cmocka_unit_test(test_parse_smallest_file_has_defaults_of_listen_and_token),
        cmocka_unit_test(test_parse_full_file_keeps_every_value),
        cmocka_unit_test(test_parse_owner_and_group_by_name_are_looked_up),
        cmocka_unit_test(test_parse_values_at_their_limits_are_accepted),
        cmocka_unit_test(test_parse_socket_of_107_bytes_is_accepted),
        cmocka_unit_test(test_parse_lists_at_their_limits_are_accepted),
        cmocka_unit_test(test_parse_same_text_gives_the_same_bytes),
        cmocka_unit_test(test_print_schema_names_every_setting_with_range_and_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
