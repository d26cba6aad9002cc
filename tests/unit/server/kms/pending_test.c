#include "server/kms/pending.h"

#include <string.h>

#include "server/kms/remember.h"
#include "tests/kit/unit.h"

static const uint8_t realm[ENVELOPE_REALM] = {1};
static const struct ring_key kek = {.not_before = 1000, .created = 1000, .kek_id = {9}};

static struct pending pending;
static struct seal *seal;

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front)) || failed(seal_new(&seal));
}

static int teardown(void **state)
{
    (void)state;
    pending_done(&pending);
    seal_free(seal);
    secret_done();
    return 0;
}

static void put(struct writer *w, bool own, uint32_t activation, uint32_t born)
{
    struct seed_name name = {.own = own,
                             .wrapped_len = 61,
                             .head = {.suite = ENVELOPE_SEED,
                                      .scheme = ENVELOPE_AES_GCM,
                                      .kek_id = {9},
                                      .activation = activation,
                                      .born = born}};
    remember_put(w, &name);
}

static void load(struct writer *w)
{
    assert_ok(pending_load(&pending, seal, writer_done(w), realm));
}

static struct writer begin(void)
{
    static uint8_t room[4096];
    struct writer w = writer_of(span_mut_of(room, sizeof(room)));
    remember_begin(&w, realm);
    return w;
}

static void test_young_takes_the_newest_own_one_of_the_key(void **state)
{
    (void)state;
    struct writer w = begin();
    put(&w, true, 1000, 2000);
    put(&w, true, 1000, 3000);
    put(&w, false, 1000, 4000);
    put(&w, true, 999, 4000);
    load(&w);
    assert_int_equal(pending_young(&pending, &kek, 5000, 86400)->head.born, 3000);
}

static void test_young_skips_what_is_gone(void **state)
{
    (void)state;
    struct writer w = begin();
    put(&w, true, 1000, 2000);
    put(&w, true, 1000, 3000);
    load(&w);
    uint8_t key[32];
    memcpy(key, pending_young(&pending, &kek, 5000, 86400)->key, sizeof(key));
    pending_remove(&pending, key);
    assert_int_equal(pending_young(&pending, &kek, 5000, 86400)->head.born, 2000);
}

static void test_young_age_at_and_past_the_life(void **state)
{
    (void)state;
    struct writer w = begin();
    put(&w, true, 1000, 2000);
    load(&w);
    assert_non_null(pending_young(&pending, &kek, 2000 + 3599, 3600));
    assert_null(pending_young(&pending, &kek, 2000 + 3600, 3600));
}

static void test_young_counts_from_the_activation_when_that_is_later(void **state)
{
    (void)state;
    struct writer w = begin();
    put(&w, true, 1000, 100);
    load(&w);
    assert_non_null(pending_young(&pending, &kek, 4599, 3600));
    assert_null(pending_young(&pending, &kek, 4600, 3600));
}

static void test_young_born_in_the_future_counts_as_expired(void **state)
{
    (void)state;
    struct writer w = begin();
    put(&w, true, 1000, 2001);
    load(&w);
    assert_null(pending_young(&pending, &kek, 2000, 3600));
    assert_non_null(pending_young(&pending, &kek, 2001, 3600));
}

static void test_next_goes_round_and_skips_what_is_gone(void **state)
{
    (void)state;
    struct writer w = begin();
    for (uint32_t i = 0; i < 3; i++) {
        put(&w, true, 1000, i);
    }
    load(&w);
    uint8_t second[32];
    assert_int_equal(pending_next(&pending)->head.born, 0);
    memcpy(second, pending_next(&pending)->key, sizeof(second));
    pending_remove(&pending, second);
    pending_remove(&pending, second);
    assert_null(pending_find(&pending, second));
    assert_int_equal(pending_next(&pending)->head.born, 2);
    assert_int_equal(pending_next(&pending)->head.born, 0);
    assert_int_equal(pending_next(&pending)->head.born, 2);
    assert_int_equal(pending.left, 2);
    size_t at = 0;
    assert_int_equal(pending_each(&pending, &at)->head.born, 0);
    assert_int_equal(pending_each(&pending, &at)->head.born, 2);
    assert_null(pending_each(&pending, &at));
}

static void test_nothing_loaded_has_nothing(void **state)
{
    (void)state;
    const uint8_t key[32] = {0};
    size_t at = 0;
    assert_null(pending_next(&pending));
    assert_null(pending_find(&pending, key));
    assert_null(pending_each(&pending, &at));
    assert_null(pending_young(&pending, &kek, 2000, 3600));
    assert_fails(pending_load(&pending, seal, span_of_text("junk"), realm), E_INVALID);
    assert_null(pending.names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_young_takes_the_newest_own_one_of_the_key, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_young_skips_what_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_young_age_at_and_past_the_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_young_counts_from_the_activation_when_that_is_later,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_young_born_in_the_future_counts_as_expired, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_next_goes_round_and_skips_what_is_gone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_nothing_loaded_has_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
