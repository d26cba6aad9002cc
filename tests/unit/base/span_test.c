#include "base/span.h"

#include <stdio.h>

#include "tests/kit/unit.h"

static void test_part_outside_the_span_is_empty(void **state)
{
    (void)state;
    struct span whole = span_of("abcdef", 6);
    assert_true(span_equal(span_part(whole, 2, 3), span_of("cde", 3)));
    assert_int_equal(span_part(whole, 6, 0).len, 0);
    assert_null(span_part(whole, 4, 3).ptr);
    assert_null(span_part(whole, SIZE_MAX, 2).ptr);
    assert_null(span_part(whole, 2, SIZE_MAX).ptr);
}

static void test_cursor_reads_big_endian_and_ends(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 0x12, 0x34, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 1, 0, 9, 8};
    struct cursor c = cursor_of(span_of(bytes, sizeof(bytes)));
    assert_int_equal(cursor_u8(&c), 1);
    assert_int_equal(cursor_u16(&c), 0x1234);
    assert_int_equal(cursor_u32(&c), 0x01020304);
    assert_int_equal(cursor_u64(&c), 256);
    uint8_t two[2] = {0};
    cursor_copy(&c, two, 2);
    assert_int_equal(two[0], 9);
    assert_true(cursor_at_end(&c));
}

static void test_cursor_short_input_is_bad_for_ever(void **state)
{
    (void)state;
    struct cursor c = cursor_of(span_of("\x01", 1));
    assert_int_equal(cursor_u16(&c), 0);
    assert_true(c.bad);
    assert_int_equal(cursor_u8(&c), 0);
    uint8_t target[2] = {7, 7};
    cursor_copy(&c, target, 2);
    assert_int_equal(target[0], 0);
    assert_false(cursor_at_end(&c));
}

static void test_writer_overflow_writes_nothing_of_it(void **state)
{
    (void)state;
    uint8_t room[5] = {0};
    struct writer w = writer_of(span_mut_of(room, sizeof(room)));
    writer_u8(&w, 1);
    writer_u16(&w, 0x0203);
    assert_int_equal(writer_done(&w).len, 3);
    writer_u32(&w, 0xffffffff);
    assert_true(w.bad);
    assert_int_equal(room[3], 0);
    writer_u8(&w, 9);
    assert_int_equal(writer_done(&w).len, 0);
}

static void test_writer_exactly_full_is_good_and_one_byte_more_is_bad_for_ever(void **state)
{
    (void)state;
    uint8_t room[5] = {0};
    struct writer w = writer_of(span_mut_of(room, 4));
    writer_u32(&w, 0x01020304);
    assert_int_equal(writer_done(&w).len, 4);
    writer_u8(&w, 9);
    assert_true(w.bad);
    assert_int_equal(room[4], 0);
    w = writer_of(span_mut_of(room, 4));
    writer_u64(&w, 1);
    writer_u8(&w, 9);
    assert_int_equal(w.len, 0);
    assert_int_equal(room[0], 1);
}

static void test_writer_all_widths_round_trip(void **state)
{
    (void)state;
    uint8_t room[16];
    struct writer w = writer_of(span_mut_of(room, sizeof(room)));
    writer_u64(&w, 0x0102030405060708);
    writer_u32(&w, 0x090a0b0c);
    writer_bytes(&w, span_of_text("xyz"));
    struct cursor c = cursor_of(writer_done(&w));
    assert_true(cursor_u64(&c) == 0x0102030405060708);
    assert_int_equal(cursor_u32(&c), 0x090a0b0c);
    assert_true(span_equal(cursor_bytes(&c, 3), span_of("xyz", 3)));
}

static void test_equal_is_not_begins_with(void **state)
{
    (void)state;
    assert_true(span_equal(span_of("abc", 2), span_of("abd", 2)));
    assert_false(span_equal(span_of("ab", 2), span_of("abc", 3)));
    assert_false(span_equal(span_of("abc", 3), span_of("ab", 2)));
    assert_false(span_equal(span_of("", 0), span_of("a", 1)));
}

static void test_copy_too_small_target_is_untouched(void **state)
{
    (void)state;
    uint8_t two[2] = {5, 5};
    assert_false(span_copy(span_mut_of(two, 2), span_of("abc", 3)));
    assert_int_equal(two[0], 5);
    assert_true(span_copy(span_mut_of(two, 2), span_of("ab", 2)));
    assert_int_equal(two[1], 'b');
}

static void test_const_views_the_same_bytes(void **state)
{
    (void)state;
    uint8_t bytes[3] = {1, 2, 3};
    struct span view = span_const(span_mut_of(bytes, sizeof(bytes)));
    assert_ptr_equal(view.ptr, bytes);
    assert_int_equal(view.len, 3);
    assert_true(span_equal(span_of(NULL, 0), span_of_text("")));
}

static void test_is_text_accepts_well_formed_and_refuses_the_rest(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x94\x91",
                                       "\xee\x80\x80",
                                       "\xed\x9f\xbf",
                                       "\xe0\xa0\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x01",
                                      "a\nb",
                                      "\x7f",
                                      "\x80",
                                      "\xc0\xaf",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xe2\x82",
                                      "\xe2\x82\x20",
                                      "\xc3"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(span_is_text(span_of_text(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(span_is_text(span_of_text(bad[i])));
    }
    assert_false(span_is_text(span_of("a\0b", 3)));
    assert_false(span_is_text(span_of("\xc3\xa9", 1))); /* what would make it whole lies outside */
    assert_false(span_is_text(span_of("\xe2\x82\xac", 2)));
}

static void check_character(const char *bytes, size_t len, size_t wanted, uint32_t wanted_point)
{
    uint32_t point = 0xdead;
    assert_int_equal(span_character(span_of(bytes, len), &point), wanted);
    assert_int_equal(point, wanted == 0 ? 0xdead : wanted_point);
}

static void test_character_first_and_last_of_each_length(void **state)
{
    (void)state;
    check_character("\0", 1, 1, 0);
    check_character("\x7fz", 2, 1, 0x7f);
    check_character("\xc2\x80z", 3, 2, 0x80);
    check_character("\xdf\xbf", 2, 2, 0x7ff);
    check_character("\xe0\xa0\x80", 3, 3, 0x800);
    check_character("\xed\x9f\xbf", 3, 3, 0xd7ff);
    check_character("\xee\x80\x80", 3, 3, 0xe000);
    check_character("\xef\xbf\xbfz", 4, 3, 0xffff);
    check_character("\xf0\x90\x80\x80", 4, 4, 0x10000);
    check_character("\xf4\x8f\xbf\xbfz", 5, 4, 0x10ffff);
}

static void test_character_none_in_front(void **state)
{
    (void)state;
    static const char *const none[] = {
        "\x80zzz", "\xbfzzz", "\xc0\x80z", "\xc1\xbfz",                   /* goes on; overlong */
        "\xe0\x9f\xbfz", "\xf0\x8f\xbf\xbf",                              /* overlong */
        "\xed\xa0\x80z", "\xed\xbf\xbfz",                                 /* surrogates */
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff\xbf\xbf\xbf",       /* above U+10FFFF */
        "\xc3zzz", "\xe2\x82zz", "\xe2zzz", "\xf0\x9f\x94z", "\xf0\x9fzz" /* broken off */
    };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        check_character(none[i], 4, 0, 0);
    }
    check_character("", 0, 0, 0);
    for (size_t len = 1; len < 4; len++) { /* what would make it whole lies outside */
        check_character("\xf0\x9f\x94\x91", len, 0, 0);
    }
}

static void test_shown_is_what_steers_nothing(void **state)
{
    (void)state;
    static const uint32_t first_hidden[] = {0, 0x7f, 0x61c, 0x200e, 0x2028, 0x2066};
    static const uint32_t last_hidden[] = {0x1f, 0x9f, 0x61c, 0x200f, 0x202e, 0x2069};
    for (size_t i = 0; i < sizeof(first_hidden) / sizeof(first_hidden[0]); i++) {
        assert_true(i == 0 || span_is_shown(first_hidden[i] - 1));
        assert_false(span_is_shown(first_hidden[i]));
        assert_false(span_is_shown(last_hidden[i]));
        assert_true(span_is_shown(last_hidden[i] + 1));
    }
    assert_true(span_is_shown(0x10ffff));
}

static void check_shown(const char *bytes, size_t size, const char *wanted, size_t wanted_taken)
{
    char text[32] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    assert_true(size < sizeof(text));
    assert_int_equal(span_to_text(span_of_text(bytes), text, size), wanted_taken);
    assert_string_equal(text, wanted);
    assert_int_equal(text[size], 'x');
}

static void test_to_text_keeps_characters_and_marks_the_rest(void **state)
{
    (void)state;
    check_shown("Z\xc3\xbcrich \xe2\x9c\x93", 30, "Z\xc3\xbcrich \xe2\x9c\x93", 11);
    check_shown("a\n\x7f~\xc3zz", 30, "a??~?zz", 7);
    check_shown("\xc2\x9b" "2J\xe2\x80\xaez\xe2\x81\xa6\xe2\x80\xa8", 30, "?2J?z??", 14);
    check_shown("\xed\xa0\x80|\xf4\x90\x80\x80|\xe2\x82", 30, "???|????|??", 11);
    check_shown("", 1, "", 0);
    char text[8];
    assert_int_equal(span_to_text(span_of("a\0b", 3), text, sizeof(text)), 3);
    assert_string_equal(text, "a?b");
    assert_int_equal(span_to_text(span_of("\xc3\xa9", 1), text, sizeof(text)), 1);
    assert_string_equal(text, "?");
}

static void test_to_text_is_cut_between_characters(void **state)
{
    (void)state;
    check_shown("abc", 1, "", 0);
    check_shown("abc", 3, "ab", 2);
    check_shown("abc", 4, "abc", 3);
    for (size_t size = 2; size < 5; size++) {
        check_shown("a\xe2\x82\xac", size, "a", 1);
        check_shown("\xf0\x9f\x94\x91", size, "", 0);
    }
    check_shown("a\xe2\x82\xac", 5, "a\xe2\x82\xac", 4);
    check_shown("\xf0\x9f\x94\x91", 5, "\xf0\x9f\x94\x91", 4);
}

static void check_whole(const char *cut, const char *wanted)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%s", cut);
    span_end_whole(text);
    assert_string_equal(text, wanted);
}

static void test_end_whole_takes_half_a_character_off(void **state)
{
    (void)state;
    static const char *const whole[] = {"", "a", "\xc3\xa9", "a\xe2\x82\xac", "\xf0\x9f\x94\x91"};
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        check_whole(whole[i], whole[i]);
    }
    check_whole("a\xc3", "a");
    check_whole("\xc3", "");
    check_whole("\xc3\xa9\xe2", "\xc3\xa9");
    check_whole("a\xe2\x82", "a");
    check_whole("a\xf0\x9f", "a");
    check_whole("\xc3\xa9\xf0\x9f\x94", "\xc3\xa9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_part_outside_the_span_is_empty),
        cmocka_unit_test(test_cursor_reads_big_endian_and_ends),
        cmocka_unit_test(test_cursor_short_input_is_bad_for_ever),
        cmocka_unit_test(test_writer_overflow_writes_nothing_of_it),
        cmocka_unit_test(test_writer_exactly_full_is_good_and_one_byte_more_is_bad_for_ever),
        cmocka_unit_test(test_writer_all_widths_round_trip),
        cmocka_unit_test(test_equal_is_not_begins_with),
        cmocka_unit_test(test_copy_too_small_target_is_untouched),
        cmocka_unit_test(test_const_views_the_same_bytes),
        cmocka_unit_test(test_is_text_accepts_well_formed_and_refuses_the_rest),
        cmocka_unit_test(test_character_first_and_last_of_each_length),
        cmocka_unit_test(test_character_none_in_front),
        cmocka_unit_test(test_shown_is_what_steers_nothing),
        cmocka_unit_test(test_to_text_keeps_characters_and_marks_the_rest),
        cmocka_unit_test(test_to_text_is_cut_between_characters),
        cmocka_unit_test(test_end_whole_takes_half_a_character_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
