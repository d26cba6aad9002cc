#include "keys/ring_label.h"

#include <string.h>

#include "tests/kit/unit.h"

static void test_name_ok_bounds_and_alphabet(void **state)
{
    (void)state;
    assert_true(ring_name_ok("a"));
    assert_true(ring_name_ok("prod-eu-1"));
    assert_false(ring_name_ok(""));
    assert_false(ring_name_ok("prod-eu-12"));
    assert_false(ring_name_ok("Prod"));
    assert_false(ring_name_ok("a:b"));
    assert_false(ring_name_ok("a_b"));
}

static void test_write_longest_ring_is_32_characters(void **state)
{
    (void)state;
    char label[RING_LABEL_MAX + 1];
    assert_ok(ring_label_write("prod-eu-1", 0x6b49d200, 0xffffffff, label));
    assert_string_equal(label, "p11k:prod-eu-1:6b49d200:ffffffff");
    assert_int_equal(strlen(label), RING_LABEL_MAX);
    assert_fails(ring_label_write("prod-eu-12", 1, 1, label), E_INVALID);
}

static void test_read_gives_back_what_was_written(void **state)
{
    (void)state;
    char text[RING_LABEL_MAX + 1];
    struct ring_label label;
    assert_ok(ring_label_write("x", 0x12345678, 0x9abcdef0, text));
    assert_int_equal(ring_label_read(span_of_text(text), &label), RING_LABEL_WHOLE);
    assert_string_equal(label.ring, "x");
    assert_int_equal(label.not_before, 0x12345678);
    assert_true(label.created == 0x9abcdef0u);
}

static void test_read_what_names_no_ring_is_not_ours(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "p11",
                                         "p11k:",
                                         "p11k::00000001:00000001",
                                         "p11k:prod",
                                         "p11k:prod-eu-12:00000001:00000001",
                                         "p11k:Prod:00000001:00000001",
                                         "p11k:pr_d:00000001:00000001",
                                         "my key",
                                         "P11K:prod:00000001:00000001"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct ring_label label = {.ring = "junk", .not_before = 7, .created = 7};
        assert_int_equal(ring_label_read(span_of_text(others[i]), &label), RING_LABEL_NONE);
        assert_int_equal(label.not_before | label.created, 0);
    }
}

/* A ring must not read the keys of one whose name begins like its own. */
static void test_read_takes_the_whole_name(void **state)
{
    (void)state;
    struct ring_label label;
    struct span longer = span_of_text("p11k:prod-2:00000001:00000002");
    assert_int_equal(ring_label_read(longer, &label), RING_LABEL_WHOLE);
    assert_string_equal(label.ring, "prod-2");
    assert_int_equal(ring_label_read(span_of_text("p11k:prod 2:00000001:00000002"), &label),
                     RING_LABEL_NONE);
}

static void test_read_broken_ones_of_ours_have_a_ring_and_no_times(void **state)
{
    (void)state;
    static const char *const broken[] = {"p11k:prod:",
                                         "p11k:prod:0000000g:00000001",
                                         "p11k:prod:00000001",
                                         "p11k:prod:00000001:0000001",
                                         "p11k:prod:00000001:00000001 ",
                                         "p11k:prod:0000000A:00000001",
                                         "p11k:prod:00000001-00000001"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct ring_label label = {.not_before = 7, .created = 7};
        assert_int_equal(ring_label_read(span_of_text(broken[i]), &label), RING_LABEL_BROKEN);
        assert_string_equal(label.ring, "prod");
        assert_int_equal(label.not_before | label.created, 0);
    }
}

static void test_ours_is_all_that_begins_so(void **state)
{
    (void)state;
    assert_true(ring_label_ours(span_of_text("p11k:")));
    assert_true(ring_label_ours(span_of_text("p11k:Prod")));
    assert_false(ring_label_ours(span_of_text("p11k")));
    assert_false(ring_label_ours(span_of_text("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_ok_bounds_and_alphabet),
        cmocka_unit_test(test_write_longest_ring_is_32_characters),
        cmocka_unit_test(test_read_gives_back_what_was_written),
        cmocka_unit_test(test_read_what_names_no_ring_is_not_ours),
        cmocka_unit_test(test_read_takes_the_whole_name),
        cmocka_unit_test(test_read_broken_ones_of_ours_have_a_ring_and_no_times),
        cmocka_unit_test(test_ours_is_all_that_begins_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
