/* What a reload may change and what only a restart, with one token and with several. */
#include "base/config.h"

#include <string.h>

#include "tests/unit/base/config_sample.h"

static void test_fixed_difference_live_settings_may_change(void **state)
{
    (void)state;
    struct config from = parsed(HEAD TOKEN);
    struct config to = parsed(HEAD TOKEN "    waive: [00112233445566778899aabbccddeeff]\n"
                                         "seed_life: 1h\nderived_keys: 5\nstatus_version: v2\n"
                                         "kms_v1: off\n"
                                         "listen: {allowed_uids: [0, 1]}\n"
                                         "health: {on_token_loss: soft, coast: 1m, soft_max: 1m}\n"
                                         "log: {format: json, level: debug}\n");
    char path[CONFIG_SETTING_LEN] = "untouched";
    assert_false(config_fixed_difference(&from, &to, path));
    assert_false(config_fixed_difference(&from, &from, path));
    assert_string_equal(path, "untouched");
}

static void test_fixed_difference_names_what_cannot_change(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *path;
    } cases[] = {
        {"version: 1\nring: other\n" TOKEN, "ring"},
        {HEAD TOKEN "activation_delay: 6m\n", "activation_delay"},
        {HEAD TOKEN "listen: {socket: /x}\n", "listen.socket"},
        {HEAD TOKEN "listen: {mode: \"0660\"}\n", "listen.mode"},
        {HEAD TOKEN "listen: {owner: 7}\n", "listen.owner"},
        {HEAD TOKEN "listen: {group: 7}\n", "listen.group"},
        {HEAD TOKEN "    name: other\n", "tokens.name"},
        {HEAD "tokens: [{module: /n.so, token: \"pkcs11:token=t\", pin_file: /etc/pin}]\n",
         "tokens.module"},
        {HEAD "tokens: [{module: /lib/m.so, token: \"pkcs11:token=u\", pin_file: /etc/pin}]\n",
         "tokens.token"},
        {HEAD "tokens: [{module: /lib/m.so, token: \"pkcs11:token=t\", pin_file: /pin}]\n",
         "tokens.pin_file"},
        {HEAD "tokens: [{module: /lib/m.so, token: \"pkcs11:token=t\", pin_credential: p}]\n",
         "tokens.pin_file"},
        {HEAD TOKEN "    sessions: 5\n", "tokens.sessions"},
        {HEAD TOKEN "    start_timeout: 5s\n", "tokens.start_timeout"},
        {HEAD TOKEN "    env: {A: b}\n", "tokens.env"},
        {HEAD TOKEN "    init_args: x\n", "tokens.init_args"},
        {HEAD TOKEN "state_dir: /x\n", "state_dir"},
    };
    struct config from = parsed(HEAD TOKEN);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config to = parsed(cases[i].text);
        char path[CONFIG_SETTING_LEN];
        assert_true(config_fixed_difference(&from, &to, path));
        assert_string_equal(path, cases[i].path);
    }
}

/* As a file with two entries gives them. */
static struct config two_tokens(void)
{
    struct config config = parsed(HEAD TOKEN);
    config.tokens[1] = config.tokens[0];
    (void)snprintf(config.tokens[1].name, sizeof(config.tokens[1].name), "second");
    config.tokens_n = 2;
    return config;
}

static void test_fixed_difference_of_several_tokens_says_which(void **state)
{
    (void)state;
    struct config from = two_tokens();
    struct config to = two_tokens();
    char path[CONFIG_SETTING_LEN];
    assert_false(config_fixed_difference(&from, &to, path));
    to.tokens[1].waive_n = 1;
    assert_false(config_fixed_difference(&from, &to, path));
    to.tokens[1].env_n = 1;
    assert_true(config_fixed_difference(&from, &to, path));
    assert_string_equal(path, "tokens[1].env");
    to.tokens[1].pin_file[1] = 'x';
    assert_true(config_fixed_difference(&from, &to, path));
    assert_string_equal(path, "tokens[1].pin_file");
    to.tokens[0].sessions = 9;
    to.tokens[0].name[0] = 'x';
    assert_true(config_fixed_difference(&from, &to, path));
    assert_string_equal(path, "tokens[0].name");
}

static void test_fixed_difference_a_token_more_or_less_is_one(void **state)
{
    (void)state;
    struct config one = parsed(HEAD TOKEN);
    struct config two = two_tokens();
    char path[CONFIG_SETTING_LEN];
    assert_true(config_fixed_difference(&one, &two, path));
    assert_string_equal(path, "tokens");
    assert_true(config_fixed_difference(&two, &one, path));
    assert_string_equal(path, "tokens");
}

static void test_fixed_difference_looks_at_no_element_past_the_end(void **state)
{
    (void)state;
    struct config from = two_tokens();
    struct config to = two_tokens();
    char path[CONFIG_SETTING_LEN];
    to.tokens[2].sessions = 7;
    (void)snprintf(to.tokens[1].env[0], sizeof(to.tokens[1].env[0]), "A=b");
    assert_false(config_fixed_difference(&from, &to, path));
    from.tokens[1].env_n = 1;
    to.tokens[1].env_n = 1;
    assert_true(config_fixed_difference(&from, &to, path));
    assert_string_equal(path, "tokens[1].env");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_difference_live_settings_may_change),
        cmocka_unit_test(test_fixed_difference_names_what_cannot_change),
        cmocka_unit_test(test_fixed_difference_of_several_tokens_says_which),
        cmocka_unit_test(test_fixed_difference_a_token_more_or_less_is_one),
        cmocka_unit_test(test_fixed_difference_looks_at_no_element_past_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
