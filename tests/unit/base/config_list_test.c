/*
 * A list of settings with several elements, as the schema will accept it one day: this program has
 * the table with TOKENS_ACCEPTED "1..4" in place of the library's.
 */
#include "base/config.h"

#include <stdio.h>
#include <string.h>

#include "base/config_schema.h"
#include "tests/kit/unit.h"

#define HEAD      "version: 1\nring: prod-eu\ntokens:\n"
#define REST      "    module: /m.so\n    token: \"pkcs11:token=t\"\n    pin_file: /pin\n"
#define NAMED(n_) "  - name: " n_ "\n" REST

static err_t parse(const char *text, struct config *ret_config, struct config_problem *problem)
{
    return config_parse("c.yaml", text, strlen(text), ret_config, problem);
}

static void check_refused(const char *text, const char *message)
{
    struct config config;
    struct config_problem problem;
    assert_fails(parse(text, &config, &problem), E_INVALID);
    if (strncmp(problem.text, message, strlen(message)) != 0) {
        fail_msg("of:\n%s\nexpected: %s\n     got: %s", text, message, problem.text);
    }
}

static void test_parse_each_element_has_its_values_and_its_defaults(void **state)
{
    (void)state;
    static const char text[] = HEAD "  - module: /a.so\n    token: \"pkcs11:token=a\"\n"
                                    "    pin_file: /a\n    sessions: 7\n    env: {A: a, B: b}\n"
                                    "  - name: second\n    module: /b.so\n"
                                    "    token: \"pkcs11:token=b\"\n    pin_credential: b\n"
                                    "    env: {A: c}\n    start_timeout: 5s\n"
                                    "    waive: [00112233445566778899aabbccddeeff]\n";
    struct config config;
    struct config_problem problem;
    assert_ok(parse(text, &config, &problem));
    assert_int_equal(config.tokens_n, 2);
    const struct config_token *first = &config.tokens[0];
    const struct config_token *second = &config.tokens[1];
    assert_string_equal(first->name, "main");
    assert_string_equal(second->name, "second");
    assert_string_equal(first->pin_file, "/a");
    assert_string_equal(second->pin_file, "");
    assert_string_equal(second->pin_credential, "b");
    assert_int_equal(first->sessions, 7);
    assert_int_equal(second->sessions, 4);
    assert_int_equal(first->start_timeout_s, 120);
    assert_int_equal(second->start_timeout_s, 5);
    assert_int_equal(first->env_n, 2);
    assert_int_equal(second->env_n, 1);
    assert_string_equal(second->env[0], "A=c");
    assert_false(config_waives(first, second->waive[0].kek_id));
    assert_true(config_waives(second, second->waive[0].kek_id));
    assert_int_equal(config.listen.allowed_uids_n, 1); /* what follows the list in the schema */
    assert_int_equal(config.soft_max_s, 86400);
}

static void test_parse_as_many_elements_as_are_accepted_and_one_more(void **state)
{
    (void)state;
    struct config config;
    struct config_problem problem;
    assert_ok(parse(HEAD NAMED("a") NAMED("b") NAMED("c") NAMED("d"), &config, &problem));
    assert_int_equal(config.tokens_n, CONFIG_TOKENS_MAX);
    assert_string_equal(config.tokens[3].name, "d");
    check_refused(HEAD NAMED("a") NAMED("b") NAMED("c") NAMED("d") NAMED("e"),
                  "c.yaml:4: tokens: 5 entries; accepted: 1..4");
    check_refused("version: 1\nring: a\ntokens: []\n",
                  "c.yaml:3: tokens: 0 entries; accepted: 1..4");
    check_refused("version: 1\nring: a\ntokens: main\n",
                  "c.yaml:3: tokens: wrong type; accepted: a list of 1..4 mappings");
}

static void test_parse_problems_name_the_element_and_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {HEAD NAMED("a") NAMED("b") "    sessions: 0\n",
         "c.yaml:12: tokens[1].sessions: value \"0\" is out of range"},
        {HEAD NAMED("a") NAMED("b") "    pins: 0\n", "c.yaml:12: tokens[1].pins: unknown key"},
        {HEAD NAMED("a") NAMED("b") "    module: /m\n",
         "c.yaml:12: tokens[1].module: given twice; accepted: once"},
        {HEAD NAMED("a") NAMED("b") "    env: {PIN: x}\n",
         "c.yaml:12: tokens[1].env: name \"PIN\" is refused"},
        {HEAD NAMED("a") "  - name: b\n", "c.yaml:8: tokens[1].module: is required"},
        {HEAD "  - name: a\n" NAMED("b"), "c.yaml:4: tokens[0].module: is required"},
        {HEAD NAMED("a") NAMED("b") "    pin_credential: p\n",
         "c.yaml:8: tokens[1]: both PIN sources are given; accepted: exactly one of"},
        {HEAD NAMED("a") "  - b\n",
         "c.yaml:8: tokens[1]: wrong type; accepted: a mapping of settings"},
        {HEAD NAMED("a") NAMED("b") "sessions: 4\n", "c.yaml:12: sessions: unknown key"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_refused(cases[i].text, cases[i].message);
    }
}

static void test_parse_names_of_tokens_are_their_own(void **state)
{
    (void)state;
    check_refused(HEAD NAMED("a") NAMED("b") NAMED("a"),
                  "c.yaml:12: tokens[2].name: value \"a\" names another token too; accepted: a "
                  "name of its own");
    check_refused(HEAD NAMED("main") "  -\n" REST,
                  "c.yaml:9: tokens[1].name: value \"main\" names another token too");
}

static void test_rule_list_is_the_list_that_a_setting_is_within(void **state)
{
    (void)state;
    const struct config_rule *tokens = config_rule_find("", span_of_text("tokens"));
    assert_non_null(tokens);
    assert_int_equal(tokens->room, CONFIG_TOKENS_MAX);
    assert_ptr_equal(config_rule_list(config_rule_find("tokens", span_of_text("env"))), tokens);
    assert_null(config_rule_list(tokens));
    assert_null(config_rule_list(config_rule_find("listen", span_of_text("mode"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_each_element_has_its_values_and_its_defaults),
        cmocka_unit_test(test_parse_as_many_elements_as_are_accepted_and_one_more),
        cmocka_unit_test(test_parse_problems_name_the_element_and_its_line),
        cmocka_unit_test(test_parse_names_of_tokens_are_their_own),
        cmocka_unit_test(test_rule_list_is_the_list_that_a_setting_is_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
