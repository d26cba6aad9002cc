/* One case a kind of mistake: the message has the line, the key, the value and what is accepted. */
#include "base/config.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/base/config_sample.h"

#define X64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X108 X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X256 X64 X64 X64 X64

struct mistake {
    const char *text;
    const char *message; /* begins with it */
};

static void check(const struct mistake *mistakes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct config config = {.magic = 77};
        struct config_problem problem;
        const char *text = mistakes[i].text;
        err_t err = config_parse("c.yaml", text, strlen(text), &config, &problem);
        if (err.code != E_INVALID ||
            strncmp(problem.text, mistakes[i].message, strlen(mistakes[i].message)) != 0) {
            fail_msg("of:\n%s\nexpected: %s\n     got: %d %s", text, mistakes[i].message,
                     (int)err.code, failed(err) ? problem.text : "accepted");
        }
        assert_int_equal(config.magic, 77);
    }
}
#define CHECK(mistakes_) check(mistakes_, sizeof(mistakes_) / sizeof(mistakes_[0]))

static void test_parse_not_yaml_or_not_plain_yaml_is_refused(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"", "c.yaml:1: the file is empty; accepted: settings from \"version: 1\" on"},
        {"# nothing\n", "c.yaml:1: the file is empty"},
        {"a: [\n", "c.yaml:2: not YAML: "},
        {"just words\n", "c.yaml:1: wrong type; accepted: a mapping of settings"},
        {"- a\n", "c.yaml:1: wrong type; accepted: a mapping of settings"},
        {ALL "state_dir: &a /s\n", "c.yaml:7: anchors are not accepted: write the value out"},
        {ALL "listen: &a {}\n", "c.yaml:7: anchors are not accepted"},
        {ALL "listen:\n  allowed_uids: &a [0]\n", "c.yaml:8: anchors are not accepted"},
        {ALL "state_dir: *a\n", "c.yaml:7: aliases are not accepted: write the value out"},
        {ALL "state_dir: !!str /s\n", "c.yaml:7: tags are not accepted"},
        {ALL "log: !x {}\n", "c.yaml:7: tags are not accepted"},
        {"%YAML 1.1\n---\n" ALL, "c.yaml:1: directives are not accepted"},
        {"%TAG ! x:\n---\n" ALL, "c.yaml:1: directives are not accepted"},
        {ALL "---\nversion: 1\n", "c.yaml:7: a second document is not accepted"},
        {"a: [[[[x]]]]\n", "c.yaml:1: nested deeper than any setting is"},
        {"[[[[[[[[[[[[[[[[[[[[", "c.yaml:1: nested deeper than any setting is"},
    };
    CHECK(mistakes);
}

static void test_parse_unknown_and_doubled_keys_are_refused(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {ALL "colour: red\n",
         "c.yaml:7: colour: unknown key; accepted: version, ring, mode, rotation, seed_life, "},
        {ALL "log: {leve: info}\n", "c.yaml:7: log.leve: unknown key; accepted: format, level"},
        {ALL "    pin: 123456\n",
         "c.yaml:7: tokens.pin: unknown key; accepted: name, module, token, pin_file, "},
        {ALL "\"a\xc3\xa9\": 1\n", "c.yaml:7: a\xc3\xa9: unknown key"},
        {ALL X64 ": 1\n",
         "c.yaml:7: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xe2\x80\xa6: unknown key"},
        {ALL "<<: {a: b}\n", "c.yaml:7: <<: unknown key"},
        {ALL "[a, b]: c\n", "c.yaml:7: a key is not a word; accepted: KEY: value"},
        {ALL "log: {{a: b}: c}\n", "c.yaml:7: log: a key is not a word"},
        {ALL "period: 30d\n",
         "c.yaml:7: period: is not available in this release; accepted: version, "},
        {ALL "accept_direct: true\n", "c.yaml:7: accept_direct: is not available in this release"},
        {ALL "    rsa_backend: libp11\n",
         "c.yaml:7: tokens.rsa_backend: is not available in this release"},
        {ALL "state_dir: /a\n\nstate_dir: /b\n",
         "c.yaml:9: state_dir: given twice; accepted: once"},
        {ALL "log: {level: info, level: info}\n", "c.yaml:7: log.level: given twice"},
        {ALL TOKEN, "c.yaml:7: tokens: given twice"},
    };
    CHECK(mistakes);
}

static void test_parse_missing_settings_are_named(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"ring: a\n" TOKEN, "c.yaml:1: version: is required"},
        {"version: 1\n" TOKEN, "c.yaml:1: ring: is required"},
        {HEAD, "c.yaml:1: tokens: is required"},
        {HEAD "tokens:\n  - token: \"pkcs11:\"\n    pin_file: /p\n",
         "c.yaml:4: tokens.module: is required"},
        {HEAD "tokens:\n  - module: /m\n    pin_file: /p\n", "c.yaml:4: tokens.token: is required"},
        {HEAD "tokens:\n  - module: /m\n    token: \"pkcs11:\"\n",
         "c.yaml:4: tokens: no PIN source is given; accepted: exactly one of pin_file and "
         "pin_credential"},
        {ALL "    pin_credential: p\n", "c.yaml:4: tokens: both PIN sources are given; accepted: "
                                        "exactly one of pin_file and pin_credential"},
    };
    CHECK(mistakes);
}

static void test_parse_wrong_types_are_refused(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {ALL "log: text\n", "c.yaml:7: log: wrong type; accepted: a mapping of settings"},
        {ALL "listen:\n", "c.yaml:7: listen: wrong type; accepted: a mapping of settings"},
        {ALL "state_dir: [/a]\n",
         "c.yaml:7: state_dir: wrong type; accepted: an absolute path of at most 255 bytes"},
        {ALL "seed_life: {a: b}\n",
         "c.yaml:7: seed_life: wrong type; accepted: a duration such as 30s, "},
        {ALL "state_dir:\n", "c.yaml:7: state_dir: value \"\" is none; accepted: an absolute path"},
        {ALL "state_dir: ~\n", "c.yaml:7: state_dir: value \"~\" is none"},
        {ALL "state_dir: null\n", "c.yaml:7: state_dir: value \"null\" is none"},
        {HEAD "tokens: {module: /m}\n",
         "c.yaml:3: tokens: wrong type; accepted: a list of exactly one mapping"},
        {HEAD "tokens: []\n", "c.yaml:3: tokens: 0 entries; accepted: exactly one in this release"},
        {HEAD "tokens:\n  - {name: a}\n  - {name: b}\n",
         "c.yaml:4: tokens: 2 entries; accepted: exactly one"},
        {HEAD "tokens: [main]\n", "c.yaml:3: tokens: wrong type; accepted: a mapping of settings"},
        {ALL "listen: {allowed_uids: 0}\n",
         "c.yaml:7: listen.allowed_uids: wrong type; accepted: a list of 1..32"},
        {ALL "listen: {allowed_uids: [[0]]}\n", "c.yaml:7: listen.allowed_uids: wrong type"},
        {ALL "    env: [A]\n",
         "c.yaml:7: tokens.env: wrong type; accepted: at most 8 of NAME: value"},
        {ALL "    env: {A: [b]}\n", "c.yaml:7: nested deeper than any setting is"},
        {ALL "    env: {[A]: b}\n", "c.yaml:7: nested deeper than any setting is"},
        {ALL "    waive: x\n",
         "c.yaml:7: tokens.waive: wrong type; accepted: a list of at most 16 kek_ids"},
    };
    CHECK(mistakes);
}

static void test_parse_numbers_and_durations_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"version: 2\nring: a\n" TOKEN,
         "c.yaml:1: version: value \"2\" is out of range; accepted: a number in 1"},
        {"version: one\n",
         "c.yaml:1: version: value \"one\" is not a number; accepted: a number in 1"},
        {ALL "    sessions: 0\n",
         "c.yaml:7: tokens.sessions: value \"0\" is out of range; accepted: a number in 1..64"},
        {ALL "    sessions: 65\n", "c.yaml:7: tokens.sessions: value \"65\" is out of range"},
        {ALL "    sessions: \"4\"\n", "c.yaml:7: tokens.sessions: value \"4\" is not a number"},
        {ALL "    sessions: 04\n", "c.yaml:7: tokens.sessions: value \"04\" is not a number"},
        {ALL "    sessions: -4\n", "c.yaml:7: tokens.sessions: value \"-4\" is not a number"},
        {ALL "    sessions: 4.0\n", "c.yaml:7: tokens.sessions: value \"4.0\" is not a number"},
        {ALL "    sessions: 4294967296\n",
         "c.yaml:7: tokens.sessions: value \"4294967296\" is not a number"},
        {ALL "    sessions: 99999999999\n",
         "c.yaml:7: tokens.sessions: value \"99999999999\" is not a number"},
        {ALL "derived_keys: 1025\n",
         "c.yaml:7: derived_keys: value \"1025\" is out of range; accepted: a number in 0..1024"},
        {ALL "seed_life: 599s\n", "c.yaml:7: seed_life: value \"599s\" is out of range; accepted: "
                                  "a duration such as 30s, 5m, 1h or 30d in 10m..7d"},
        {ALL "seed_life: 604801s\n", "c.yaml:7: seed_life: value \"604801s\" is out of range"},
        {ALL "seed_life: 24\n", "c.yaml:7: seed_life: value \"24\" is not a duration"},
        {ALL "seed_life: 24H\n", "c.yaml:7: seed_life: value \"24H\" is not a duration"},
        {ALL "seed_life: 1h30m\n", "c.yaml:7: seed_life: value \"1h30m\" is not a duration"},
        {ALL "seed_life: h\n", "c.yaml:7: seed_life: value \"h\" is not a duration"},
        {ALL "seed_life: \"24h\"\n", "c.yaml:7: seed_life: value \"24h\" is not a duration"},
        {ALL "seed_life: 49711d\n", "c.yaml:7: seed_life: value \"49711d\" is not a duration"},
        {ALL "activation_delay: 31d\n",
         "c.yaml:7: activation_delay: value \"31d\" is out of range; accepted: a duration"},
        {ALL "    start_timeout: 0s\n",
         "c.yaml:7: tokens.start_timeout: value \"0s\" is out of range"},
        {ALL "    start_timeout: 31m\n",
         "c.yaml:7: tokens.start_timeout: value \"31m\" is out of range"},
        {ALL "health: {coast: 8d}\n", "c.yaml:7: health.coast: value \"8d\" is out of range"},
        {ALL "health: {soft_max: 31d}\n",
         "c.yaml:7: health.soft_max: value \"31d\" is out of range"},
    };
    CHECK(mistakes);
}

static void test_parse_choices_not_built_or_unknown_are_refused(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {ALL "mode: direct\n",
         "c.yaml:7: mode: value \"direct\" is not available in this release; accepted: seed"},
        {ALL "rotation: automatic\n", "c.yaml:7: rotation: value \"automatic\" is not available in "
                                      "this release; accepted: manual"},
        {ALL "rotation: operator\n",
         "c.yaml:7: rotation: value \"operator\" is not available in this release"},
        {ALL "rotation: weekly\n",
         "c.yaml:7: rotation: value \"weekly\" is not known; accepted: manual"},
        {ALL "    scheme: rsa-oaep\n",
         "c.yaml:7: tokens.scheme: value \"rsa-oaep\" is not available in this release"},
        {ALL "    iv_mode: appended\n",
         "c.yaml:7: tokens.iv_mode: value \"appended\" is not available in this release"},
        {ALL "status_version: v1\n",
         "c.yaml:7: status_version: value \"v1\" is not known; accepted: auto, v2, v2beta1"},
        {ALL "health: {on_token_loss: off}\n",
         "c.yaml:7: health.on_token_loss: value \"off\" is not known; accepted: coast, soft, hard"},
        {ALL "log: {format: xml}\n",
         "c.yaml:7: log.format: value \"xml\" is not known; accepted: text, json"},
        {ALL "log: {level: Info}\n",
         "c.yaml:7: log.level: value \"Info\" is not known; accepted: debug, info, warn, error"},
        {ALL "log: {level: \"debug|info\"}\n",
         "c.yaml:7: log.level: value \"debug|info\" is not known"},
        {ALL "log: {level: \"\"}\n", "c.yaml:7: log.level: value \"\" is not known"},
    };
    CHECK(mistakes);
}

static void test_parse_words_and_paths_of_wrong_form_are_refused(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"version: 1\nring: Prod\n",
         "c.yaml:2: ring: value \"Prod\" has another character; accepted: 1..9 characters"},
        {"version: 1\nring: abcdefghij\n",
         "c.yaml:2: ring: value \"abcdefghij\" has a wrong length; accepted: 1..9"},
        {"version: 1\nring: \"\"\n", "c.yaml:2: ring: value \"\" has a wrong length"},
        {ALL "    name: a:b\n",
         "c.yaml:7: tokens.name: value \"a:b\" has another character; accepted: 1..31"},
        {ALL "    name: " X64 "\n", "c.yaml:7: tokens.name: value \"" X64 "\" has a wrong length"},
        {ALL "state_dir: var\n",
         "c.yaml:7: state_dir: value \"var\" is not an absolute path; accepted: an absolute path"},
        {ALL "state_dir: /" X256 "\n", "c.yaml:7: state_dir: value \"/xxx"},
        {HEAD "tokens: [{module: m.so}]\n",
         "c.yaml:3: tokens.module: value \"m.so\" is not an absolute path"},
        {ALL "listen: {socket: kms.sock}\n",
         "c.yaml:7: listen.socket: value \"kms.sock\" is neither; accepted: an absolute path or "
         "@name of at most 107"},
        {ALL "listen: {socket: \"@\"}\n", "c.yaml:7: listen.socket: value \"@\" is neither"},
        {ALL "listen: {socket: /" X108 "}\n",
         "c.yaml:7: listen.socket: the path is 109 bytes long; accepted: at most 107 bytes"},
        {ALL "listen: {mode: 0600}\n", "c.yaml:7: listen.mode: value \"0600\" is not such a mode; "
                                       "accepted: a quoted octal number such as \"0600\""},
        {ALL "listen: {mode: \"600\"}\n",
         "c.yaml:7: listen.mode: value \"600\" is not such a mode"},
        {ALL "listen: {mode: \"0680\"}\n", "c.yaml:7: listen.mode: value \"0680\" is not octal"},
        {ALL "listen: {mode: \"1777\"}\n",
         "c.yaml:7: listen.mode: value \"1777\" is not such a mode"},
    };
    CHECK(mistakes);
}

static void test_parse_users_of_wrong_form_are_refused(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {ALL "listen: {owner: no-such-user}\n",
         "c.yaml:7: listen.owner: value \"no-such-user\" is not a user of this system; accepted: a "
         "user's name"},
        {ALL "listen: {group: no-such-group}\n",
         "c.yaml:7: listen.group: value \"no-such-group\" is not a group of this system; accepted: "
         "a group's name"},
        {ALL "listen: {owner: 4294967295}\n",
         "c.yaml:7: listen.owner: value \"4294967295\" is out of range"},
        {ALL "listen: {owner: " X64 "}\n",
         "c.yaml:7: listen.owner: value \"" X64 "\" is not a name"},
        {ALL "listen: {owner: \"\"}\n", "c.yaml:7: listen.owner: value \"\" is not a name"},
        {ALL "listen: {allowed_uids: []}\n",
         "c.yaml:7: listen.allowed_uids: value \"[]\" is empty; accepted: a list"},
        {ALL "listen: {allowed_uids: [root]}\n",
         "c.yaml:7: listen.allowed_uids: value \"root\" is not a user number"},
        {ALL "listen: {allowed_uids: [\"0\"]}\n",
         "c.yaml:7: listen.allowed_uids: value \"0\" is not a user number"},
        {ALL "listen: {allowed_uids: [4294967295]}\n",
         "c.yaml:7: listen.allowed_uids: value \"4294967295\" is not"},
        {ALL "listen: {allowed_uids: "
             "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,7]}\n",
         "c.yaml:7: listen.allowed_uids: value \"7\" is one too many; accepted: a list of 1..32"},
    };
    CHECK(mistakes);
}

#define ID  "00112233445566778899aabbccddeeff"
#define ID8 ID "," ID "," ID "," ID "," ID "," ID "," ID "," ID

static void test_parse_env_and_waive_of_wrong_form_are_refused(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {ALL "    env: {LD_PRELOAD: /x.so}\n",
         "c.yaml:7: tokens.env: name \"LD_PRELOAD\" is refused; accepted: [A-Z_][A-Z0-9_]* of at "
         "most 63 characters, "
         "but not LD_* and not *PIN*"},
        {ALL "    env: {LD_: x}\n", "c.yaml:7: tokens.env: name \"LD_\" is refused"},
        {ALL "    env: {HSM_PIN: 1}\n", "c.yaml:7: tokens.env: name \"HSM_PIN\" is refused"},
        {ALL "    env: {lower: x}\n", "c.yaml:7: tokens.env: name \"lower\" is refused"},
        {ALL "    env: {9A: x}\n", "c.yaml:7: tokens.env: name \"9A\" is refused"},
        {ALL "    env: {\"A=B\": x}\n", "c.yaml:7: tokens.env: name \"A=B\" is refused"},
        {ALL "    env: {\"\": x}\n", "c.yaml:7: tokens.env: name \"\" is refused"},
        {ALL "    env: {A: x, A: y}\n",
         "c.yaml:7: tokens.env: name \"A\" is given twice; accepted: once"},
        {ALL "    env: {A: x, B: x, C: x, D: x, E: x, F: x, G: x, H: x, I: x}\n",
         "c.yaml:7: tokens.env: name \"I\" is one too many; accepted: at most 8"},
        {ALL "    env: {A: " X256 X256 "}\n",
         "c.yaml:7: tokens.env: name \"A\" has too long a value; accepted: NAME=value"},
        {ALL "    env: {A: }\n", "c.yaml:7: tokens.env: the value is none"},
        {ALL "    waive: [0011]\n",
         "c.yaml:7: tokens.waive: value \"0011\" is not a kek_id; accepted: a list of at most 16"},
        {ALL "    waive: [00112233445566778899AABBCCDDEEFF]\n",
         "c.yaml:7: tokens.waive: value \"00112233445566778899AABB"},
        {ALL "    waive: [0011223344556677889:aabbccddeeff]\n",
         "c.yaml:7: tokens.waive: value \"0011223344556677889:"},
        {ALL "    waive: [" ID8 "," ID8 "," ID "]\n",
         "c.yaml:7: tokens.waive: value \"" ID "\" is one too many"},
    };
    CHECK(mistakes);
}

static void test_parse_values_that_may_be_secret_are_never_repeated(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {HEAD "tokens: [{module: /m, token: \"pkcs11:token=t?pin-value=s3cret\", pin_file: /p}]\n",
         "c.yaml:3: tokens.token: the value names a PIN (use pin_file or pin_credential); "
         "accepted: a URI"},
        {HEAD "tokens: [{module: /m, token: \"pkcs11:t?pin-source=s3cret\"}]\n",
         "c.yaml:3: tokens.token: the value names"},
        {HEAD "tokens: [{token: \"s3cret\"}]\n",
         "c.yaml:3: tokens.token: the value does not begin with \"pkcs11:\""},
        {HEAD "tokens: [{token: \"pkcs11:token=" X256 X256 "\"}]\n",
         "c.yaml:3: tokens.token: the value is too long"},
        {HEAD "tokens: [{pin_file: s3cret}]\n",
         "c.yaml:3: tokens.pin_file: the value is not an absolute path; accepted"},
        {HEAD "tokens: [{pin_credential: a/s3cret}]\n",
         "c.yaml:3: tokens.pin_credential: the value is not a file name"},
        {HEAD "tokens: [{pin_credential: \"\"}]\n",
         "c.yaml:3: tokens.pin_credential: the value is not a file name"},
        {HEAD "tokens: [{pin_credential: ..}]\n",
         "c.yaml:3: tokens.pin_credential: the value is not a file name"},
        {HEAD "tokens: [{pin_credential: " X64 "}]\n",
         "c.yaml:3: tokens.pin_credential: the value is too long"},
        {HEAD "tokens: [{init_args: " X256 X256 "}]\n",
         "c.yaml:3: tokens.init_args: the value is too long; accepted: a text"},
        {HEAD "tokens: [{pin: s3cret}]\n", "c.yaml:3: tokens.pin: unknown key"},
    };
    CHECK(mistakes);
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct config config;
        struct config_problem problem;
        const char *text = mistakes[i].text;
        assert_fails(config_parse("c.yaml", text, strlen(text), &config, &problem), E_INVALID);
        assert_null(strstr(problem.text, "s3cret"));
    }
}

static void test_parse_long_and_unprintable_values_are_shown_short_and_plain(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {ALL "state_dir: " X256 "\n",
         "c.yaml:7: state_dir: value \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxx\xe2\x80\xa6\" is not an absolute path"},
        {ALL "state_dir: \"caf\xc3\xa9\"\n", "c.yaml:7: state_dir: value \"caf\xc3\xa9\" is not"},
        {ALL "state_dir: \"caf\xe2\x80\xaeg\"\n", "c.yaml:7: state_dir: value \"caf?g\" is not"},
    };
    CHECK(mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_not_yaml_or_not_plain_yaml_is_refused),
        cmocka_unit_test(test_parse_unknown_and_doubled_keys_are_refused),
        cmocka_unit_test(test_parse_missing_settings_are_named),
        cmocka_unit_test(test_parse_wrong_types_are_refused),
        cmocka_unit_test(test_parse_numbers_and_durations_out_of_range_are_refused),
        cmocka_unit_test(test_parse_choices_not_built_or_unknown_are_refused),
        cmocka_unit_test(test_parse_words_and_paths_of_wrong_form_are_refused),
        cmocka_unit_test(test_parse_users_of_wrong_form_are_refused),
        cmocka_unit_test(test_parse_env_and_waive_of_wrong_form_are_refused),
        cmocka_unit_test(test_parse_values_that_may_be_secret_are_never_repeated),
        cmocka_unit_test(test_parse_long_and_unprintable_values_are_shown_short_and_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
