#define _GNU_SOURCE
#include "ctl/output.h"

#include <stdlib.h>
#include <string.h>

#include "base/span.h"

#include "tests/kit/unit.h"

/* What output_print writes; the caller frees it. */
static char *printed(enum ctl_output output, const json_t *json)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    struct ctl ctl = {.output = output, .out = file};
    assert_true(output_print(&ctl, json));
    (void)fclose(file);
    return text;
}

static json_t *row(const char *name, int64_t n)
{
    json_t *json = json_object();
    output_text(json, "name", name);
    output_number(json, "n", n);
    output_bool(json, "good", n == 1);
    return json;
}

static void test_print_table_aligns_columns(void **state)
{
    (void)state;
    OWN_JSON *rows = json_array();
    output_row(rows, row("a", 1));
    output_row(rows, row("longer", 12));
    CLEANUP(own_free_p) char *text = printed(CTL_TABLE, rows);
    assert_string_equal(text, "name    n   good\n"
                              "a       1   yes\n"
                              "longer  12  no\n");
}

/* As many as etcd may list. Were each row measured against all, this would take hours. */
static void test_print_table_of_very_many_rows(void **state)
{
    (void)state;
    OWN_JSON *rows = json_array();
    for (int i = 0; i < 50000; i++) {
        output_row(rows, row("a", i));
    }
    CLEANUP(own_free_p) char *text = printed(CTL_TABLE, rows);
    assert_non_null(strstr(text, "\na     49999  no\n"));
}

static void test_print_empty_table_says_so(void **state)
{
    (void)state;
    OWN_JSON *rows = json_array();
    CLEANUP(own_free_p) char *text = printed(CTL_TABLE, rows);
    assert_string_equal(text, "(none)\n");
}

static void test_print_row_without_a_column_shows_a_dash(void **state)
{
    (void)state;
    OWN_JSON *rows = json_array();
    output_row(rows, row("a", 1));
    output_row(rows, json_object());
    CLEANUP(own_free_p) char *text = printed(CTL_TABLE, rows);
    assert_non_null(strstr(text, "\n-     -  -\n"));
}

static void test_print_object_as_lines_with_nested_table(void **state)
{
    (void)state;
    OWN_JSON *object = json_object();
    json_t *rows = json_array();
    output_row(rows, row("a", 1));
    output_text(object, "ring", "test");
    output_member(object, "keys", rows);
    CLEANUP(own_free_p) char *text = printed(CTL_TABLE, object);
    assert_string_equal(text, "ring  test\nkeys:\nname  n  good\na     1  yes\n");
}

static void test_print_control_characters_never_reach_the_terminal(void **state)
{
    (void)state;
    OWN_JSON *object = json_object();
    output_text(object, "label", "a\x1b[2Jb");
    CLEANUP(own_free_p) char *text = printed(CTL_TABLE, object);
    assert_string_equal(text, "label  a?[2Jb\n");
    CLEANUP(own_free_p) char *json = printed(CTL_JSON, object);
    assert_null(strchr(json, 0x1b));
    OWN_JSON *c1 = json_object();
    output_text(c1, "label", "\xc2\x9b" "2J\xc3\xa4\xc2\xa0");
    CLEANUP(own_free_p) char *c1_text = printed(CTL_TABLE, c1);
    assert_string_equal(c1_text, "label  ?2J\xc3\xa4\xc2\xa0\n");
}

static void test_print_utf8_is_shown_and_aligned_by_characters(void **state)
{
    (void)state;
    OWN_JSON *rows = json_array();
    output_row(rows, row("Z\xc3\xbcrich \xe2\x9c\x93", 1));
    output_row(rows, row("plain", 12));
    CLEANUP(own_free_p) char *text = printed(CTL_TABLE, rows);
    assert_string_equal(text, "name      n   good\n"
                              "Z\xc3\xbcrich \xe2\x9c\x93  1   yes\n"
                              "plain     12  no\n");
    CLEANUP(own_free_p) char *json = printed(CTL_JSON, rows);
    assert_non_null(strstr(json, "\"Z\xc3\xbcrich \xe2\x9c\x93\""));
}

static void test_print_long_cell_is_cut_between_characters(void **state)
{
    (void)state;
    char text[2 * 300 + 2] = "x";
    for (size_t i = 0; i < 300; i++) {
        span_move(text + 1 + 2 * i, "\xc3\xa9", 2);
    }
    OWN_JSON *object = json_object();
    output_text(object, "n", text);
    CLEANUP(own_free_p) char *line = printed(CTL_TABLE, object);
    assert_true(span_is_text(span_of(line, strlen(line) - 1)));
    assert_int_equal(strlen(line), strlen("n  x\n") + 2 * 255);
}

static void test_print_json_keeps_the_order(void **state)
{
    (void)state;
    OWN_JSON *object = row("a", 1);
    CLEANUP(own_free_p) char *text = printed(CTL_JSON, object);
    assert_string_equal(text, "{\n  \"name\": \"a\",\n  \"n\": 1,\n  \"good\": true\n}\n");
}

static void test_text_that_is_no_utf8_is_replaced(void **state)
{
    (void)state;
    OWN_JSON *object = json_object();
    output_text(object, "label", "\xff");
    CLEANUP(own_free_p) char *text = printed(CTL_TABLE, object);
    assert_string_equal(text, "label  ?\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_table_aligns_columns),
        cmocka_unit_test(test_print_table_of_very_many_rows),
        cmocka_unit_test(test_print_empty_table_says_so),
        cmocka_unit_test(test_print_row_without_a_column_shows_a_dash),
        cmocka_unit_test(test_print_object_as_lines_with_nested_table),
        cmocka_unit_test(test_print_control_characters_never_reach_the_terminal),
        cmocka_unit_test(test_print_utf8_is_shown_and_aligned_by_characters),
        cmocka_unit_test(test_print_long_cell_is_cut_between_characters),
        cmocka_unit_test(test_print_json_keeps_the_order),
        cmocka_unit_test(test_text_that_is_no_utf8_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
