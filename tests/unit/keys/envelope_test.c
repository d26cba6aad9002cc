#include "keys/envelope.h"

#include <stddef.h>
#include <string.h>

#include "tests/kit/unit.h"

struct bytes {
    uint8_t at[2048];
    size_t len;
};

static const struct envelope_head usual = {
    .suite = 1, .scheme = 1, .api = 2, .activation = 0x01020304, .born = 0x05060708};

/* Head, a wrapped field with `inner` bytes between IV and tag, and `rest` bytes after it. */
static struct bytes build(const struct envelope_head *head, uint8_t iv_len, size_t inner,
                          size_t rest)
{
    struct bytes b = {0};
    uint8_t wrapped[ENVELOPE_WRAPPED_MAX] = {iv_len};
    struct writer w = writer_of(span_mut_of(b.at, sizeof(b.at)));
    envelope_write_head(&w, head, span_of(wrapped, 1u + iv_len + inner + ENVELOPE_TAG));
    (void)writer_room(&w, rest);
    assert_false(w.bad);
    b.len = w.len;
    return b;
}

static struct bytes build_seed(size_t plain)
{
    return build(&usual, 12, SEED_LEN, 32 + 32 + 12 + plain + 16);
}

static enum err_code parse(const struct bytes *b)
{
    struct envelope e;
    return envelope_parse(span_of(b->at, b->len), &e).code;
}

static void test_parse_suite_1_gives_every_field(void **state)
{
    (void)state;
    struct bytes b = build_seed(5);
    struct envelope e;
    assert_ok(envelope_parse(span_of(b.at, b.len), &e));
    assert_int_equal(e.head.suite, 1);
    assert_int_equal(e.head.scheme, 1);
    assert_int_equal(e.head.api, 2);
    assert_int_equal(e.head.activation, 0x01020304);
    assert_int_equal(e.head.born, 0x05060708);
    assert_int_equal(e.wrapped.len, 61);
    assert_ptr_equal(e.salt.ptr, b.at + 50 + 61);
    assert_int_equal(e.salt.len, 32);
    assert_ptr_equal(e.commitment.ptr, b.at + 50 + 61 + 32);
    assert_int_equal(e.commitment.len, 32);
    assert_ptr_equal(e.iv.ptr, b.at + 50 + 61 + 64);
    assert_int_equal(e.iv.len, 12);
    assert_int_equal(e.ciphertext.len, 5);
    assert_ptr_equal(e.tag.ptr, b.at + b.len - 16);
    assert_int_equal(e.tag.len, 16);
    assert_int_equal(e.before_salt.len, 50 + 61);
    assert_int_equal(e.before_iv.len, 50 + 61 + 64);
    assert_ptr_equal(e.before_iv.ptr, b.at);
}

static void test_parse_plaintext_limits_hold_at_and_past(void **state)
{
    (void)state;
    static const struct {
        size_t plain;
        enum err_code code;
    } cases[] = {{0, E_INVALID}, {1, E_NONE}, {512, E_NONE}, {513, E_INVALID}};
    for (size_t i = 0; i < 4; i++) {
        struct bytes b = build_seed(cases[i].plain);
        assert_int_equal(parse(&b), cases[i].code);
    }
}

static void test_parse_every_truncation_and_one_byte_more_of_suite_2_is_refused(void **state)
{
    (void)state;
    struct envelope_head head = usual;
    head.suite = 2;
    head.born = 0;
    struct bytes b = build(&head, 16, 2 + 32 + 16, 0);
    size_t len = b.len;
    assert_int_equal(parse(&b), E_NONE);
    b.len = len + 1;
    assert_int_equal(parse(&b), E_INVALID);
    for (b.len = 0; b.len < len; b.len++) {
        assert_int_equal(parse(&b), E_INVALID);
    }
}

static void test_parse_truncation_into_the_fixed_part_is_refused(void **state)
{
    (void)state;
    struct bytes b = build_seed(1);
    size_t len = b.len;
    for (b.len = 0; b.len < len; b.len++) {
        assert_int_equal(parse(&b), E_INVALID);
    }
}

static void test_parse_closed_lists_refuse_every_other_value(void **state)
{
    (void)state;
    static const struct {
        size_t off;
        uint8_t low;
        uint8_t high;
    } lists[] = {{0, 'P', 'P'}, {1, '1', '1'}, {2, '1', '1'}, {3, 'K', 'K'},
                 {4, 1, 1},     {5, 1, 1},     {6, 1, 1},     {7, 1, 2}};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (unsigned value = 0; value < 256; value++) {
            struct bytes b = build_seed(9);
            b.at[lists[i].off] = (uint8_t)value;
            bool listed = value >= lists[i].low && value <= lists[i].high;
            assert_int_equal(parse(&b), listed ? E_NONE : E_INVALID);
        }
    }
}

static void test_parse_iv_length_is_12_or_16(void **state)
{
    (void)state;
    for (unsigned iv_len = 0; iv_len < 64; iv_len++) {
        struct bytes b = build(&usual, (uint8_t)iv_len, SEED_LEN, 32 + 32 + 12 + 4 + 16);
        assert_int_equal(parse(&b), iv_len == 12 || iv_len == 16 ? E_NONE : E_INVALID);
    }
}

static void test_parse_wrapped_seed_has_its_exact_length(void **state)
{
    (void)state;
    for (size_t inner = 0; inner < 70; inner++) {
        struct bytes b = build(&usual, 12, inner, 32 + 32 + 12 + 4 + 16);
        assert_int_equal(parse(&b), inner == SEED_LEN ? E_NONE : E_INVALID);
    }
}

static void test_parse_wrapped_length_lies_is_refused(void **state)
{
    (void)state;
    for (unsigned w = 0; w < 4096; w++) {
        struct bytes b = build_seed(300);
        b.at[48] = (uint8_t)(w >> 8);
        b.at[49] = (uint8_t)w;
        assert_int_equal(parse(&b), w == 61 ? E_NONE : E_INVALID);
    }
}

static void test_parse_suite_2_limits_hold_at_and_past(void **state)
{
    (void)state;
    struct envelope_head head = usual;
    head.suite = 2;
    head.born = 0;
    static const uint8_t iv_lens[] = {12, 16};
    for (size_t i = 0; i < 2; i++) {
        struct bytes none = build(&head, iv_lens[i], 18, 0);
        assert_int_equal(parse(&none), E_INVALID);
        struct bytes one = build(&head, iv_lens[i], 18 + 1, 0);
        assert_int_equal(parse(&one), E_NONE);
        struct bytes most = build(&head, iv_lens[i], 18 + 512, 0);
        assert_int_equal(parse(&most), E_NONE);
        struct bytes more = build(&head, iv_lens[i], 18 + 513, 0);
        assert_int_equal(parse(&more), E_INVALID);
    }
}

static void test_parse_suite_2_has_no_sealed_part_and_no_born(void **state)
{
    (void)state;
    struct envelope_head head = usual;
    head.suite = 2;
    struct bytes b = build(&head, 12, 18 + 32, 0);
    assert_int_equal(parse(&b), E_INVALID);
    head.born = 0;
    b = build(&head, 12, 18 + 32, 0);
    struct envelope e;
    assert_ok(envelope_parse(span_of(b.at, b.len), &e));
    assert_int_equal(e.wrapped.len, b.len - ENVELOPE_HEAD);
    assert_int_equal(e.salt.len + e.commitment.len + e.iv.len + e.ciphertext.len + e.tag.len, 0);
    assert_int_equal(e.before_salt.len + e.before_iv.len, 0);
}

static void assert_rebased(const struct bytes *from, const struct bytes *to)
{
    struct envelope moved;
    struct envelope parsed;
    assert_ok(envelope_parse(span_of(from->at, from->len), &moved));
    assert_ok(envelope_parse(span_of(to->at, to->len), &parsed));
    envelope_rebase(&moved, from->at, to->at);
    assert_memory_equal(&moved.wrapped, &parsed.wrapped,
                        sizeof(moved) - offsetof(struct envelope, wrapped));
}

static void test_rebase_is_what_a_parse_of_the_copy_gives(void **state)
{
    (void)state;
    struct envelope_head direct = usual;
    direct.suite = ENVELOPE_DIRECT;
    direct.born = 0;
    struct bytes sealed = build_seed(5);
    struct bytes sealed_copy = sealed;
    struct bytes wrapped = build(&direct, 16, 2 + 32 + 16, 0);
    struct bytes wrapped_copy = wrapped;
    assert_rebased(&sealed, &sealed_copy);
    assert_rebased(&wrapped, &wrapped_copy);
}

static void test_parse_failure_leaves_the_result_untouched(void **state)
{
    (void)state;
    struct envelope e;
    struct envelope before;
    memset(&e, 0x77, sizeof(e));
    memset(&before, 0x77, sizeof(before));
    assert_fails(envelope_parse(span_of("P11K", 4), &e), E_INVALID);
    assert_memory_equal(&e, &before, sizeof(e));
}

static void test_write_head_is_drawn_as_in_the_header(void **state)
{
    (void)state;
    struct envelope_head head = usual;
    memset(head.realm, 0xaa, sizeof(head.realm));
    memset(head.kek_id, 0xbb, sizeof(head.kek_id));
    uint8_t expected[53] = {'P', '1', '1', 'K', 1, 1, 1, 2};
    memset(expected + 8, 0xaa, 16);
    memset(expected + 24, 0xbb, 16);
    memcpy(expected + 40, "\1\2\3\4\5\6\7\10\0\3abc", 13);
    uint8_t out[53];
    struct writer w = writer_of(span_mut_of(out, sizeof(out)));
    envelope_write_head(&w, &head, span_of("abc", 3));
    assert_false(w.bad);
    assert_int_equal(w.len, sizeof(out));
    assert_memory_equal(out, expected, sizeof(out));
}

static void test_write_head_without_room_or_wrapped_too_long_is_bad(void **state)
{
    (void)state;
    uint8_t wrapped[ENVELOPE_WRAPPED_MAX + 1] = {0};
    uint8_t out[1024];
    struct writer small = writer_of(span_mut_of(out, 52));
    envelope_write_head(&small, &usual, span_of("abc", 3));
    assert_true(small.bad);
    struct writer most = writer_of(span_mut_of(out, sizeof(out)));
    envelope_write_head(&most, &usual, span_of(wrapped, ENVELOPE_WRAPPED_MAX));
    assert_false(most.bad);
    struct writer more = writer_of(span_mut_of(out, sizeof(out)));
    envelope_write_head(&more, &usual, span_of(wrapped, ENVELOPE_WRAPPED_MAX + 1));
    assert_true(more.bad);
}

static void test_wrap_aad_takes_api_as_zero_only_in_suite_1(void **state)
{
    (void)state;
    uint8_t v1[ENVELOPE_WRAP_AAD];
    uint8_t v2[ENVELOPE_WRAP_AAD];
    struct envelope_head head = usual;
    envelope_wrap_aad(&head, v2);
    head.api = 1;
    envelope_wrap_aad(&head, v1);
    assert_memory_equal(v1, v2, sizeof(v1));
    assert_int_equal(v1[7], 0);
    assert_int_equal(v1[5], 1);
    head.suite = 2;
    envelope_wrap_aad(&head, v1);
    assert_int_equal(v1[7], 1);
    assert_int_equal(v1[5], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_suite_1_gives_every_field),
        cmocka_unit_test(test_parse_plaintext_limits_hold_at_and_past),
        cmocka_unit_test(test_parse_every_truncation_and_one_byte_more_of_suite_2_is_refused),
        cmocka_unit_test(test_parse_truncation_into_the_fixed_part_is_refused),
        cmocka_unit_test(test_parse_closed_lists_refuse_every_other_value),
        cmocka_unit_test(test_parse_iv_length_is_12_or_16),
        cmocka_unit_test(test_parse_wrapped_seed_has_its_exact_length),
        cmocka_unit_test(test_parse_wrapped_length_lies_is_refused),
        cmocka_unit_test(test_parse_suite_2_limits_hold_at_and_past),
        cmocka_unit_test(test_parse_suite_2_has_no_sealed_part_and_no_born),
        cmocka_unit_test(test_rebase_is_what_a_parse_of_the_copy_gives),
        cmocka_unit_test(test_parse_failure_leaves_the_result_untouched),
        cmocka_unit_test(test_write_head_is_drawn_as_in_the_header),
        cmocka_unit_test(test_write_head_without_room_or_wrapped_too_long_is_bad),
        cmocka_unit_test(test_wrap_aad_takes_api_as_zero_only_in_suite_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
