#include "server/kms/kept.h"

#include <errno.h>
#include <string.h>

#include "base/secret.h"
#include "server/kms/remember.h"
#include "tests/kit/heard_log.h"
#include "tests/kit/unit.h"

#define AGAIN_MS 20000 /* after a failure nothing is offered sooner */

static const uint8_t realm[ENVELOPE_REALM] = {3};
static const struct ring_key older = {.kek_id = {1}, .not_before = 10, .created = 9};
static const struct ring_key newer = {.kek_id = {2}, .not_before = 20, .created = 19};

static unsigned offers[STATE_FILES];
static uint8_t bytes[REMEMBER_MAX];
static size_t bytes_n;
static bool is_full; /* the way to the keeper */

static bool put_state(void *ctx, enum state_file file, struct span content)
{
    assert_ptr_equal(ctx, offers);
    assert_true(content.len <= sizeof(bytes));
    span_move(bytes, content.ptr, content.len);
    bytes_n = content.len;
    offers[file]++;
    return !is_full;
}

static struct kept kept;
static struct seeds *seeds;
static struct pending pending;

static int setup(void **state)
{
    (void)state;
    const struct kms_outputs outputs = {.ctx = offers, .put_state = put_state};
    memset(offers, 0, sizeof(offers));
    is_full = false;
    pending = (struct pending){0};
    heard_log_clear();
    kept_init(&kept, &outputs, realm);
    return failed(secret_init(&secret_budget_front)) || failed(seeds_new(SEEDS_MAX, &seeds));
}

static int teardown(void **state)
{
    (void)state;
    seeds_free(seeds);
    secret_done();
    return 0;
}

static void tick(const struct ring_key *newest, int64_t boot_ms)
{
    kept_tick(&kept, newest, seeds, &pending, boot_ms);
}

static void open_seed(uint8_t n)
{
    const uint8_t seed[SEED_LEN] = {n};
    const struct seed_name name = {
        .key = {n}, .head = {.scheme = ENVELOPE_AES_GCM}, .wrapped_len = 61};
    const struct seed *added = NULL;
    assert_ok(seeds_add(seeds, &name, span_of(seed, sizeof(seed)), &added));
    kept_seeds_changed(&kept);
}

static void test_current_is_offered_when_it_becomes_another(void **state)
{
    (void)state;
    tick(NULL, 1);
    assert_int_equal(offers[STATE_CURRENT], 0);
    tick(&older, 2);
    tick(&older, 3);
    assert_int_equal(offers[STATE_CURRENT], 1);
    tick(&newer, 4);
    assert_int_equal(offers[STATE_CURRENT], 2);
    struct state_current record;
    assert_ok(state_current_parse(span_of(bytes, bytes_n), &record));
    assert_memory_equal(record.kek_id, newer.kek_id, KEK_ID_LEN);
    assert_int_equal(record.not_before, 20);
    assert_int_equal(record.created, 19);
}

static void test_current_remembered_is_not_offered_again(void **state)
{
    (void)state;
    tick(&newer, 1);
    struct kept next;
    const struct kms_outputs outputs = {.ctx = offers, .put_state = put_state};
    kept_init(&next, &outputs, realm);
    assert_null(kept_current(&next));
    kept_remember(&next, span_of(bytes, bytes_n));
    assert_true(ring_same(kept_current(&next), &newer));
    kept_tick(&next, &newer, seeds, &pending, 1);
    assert_int_equal(offers[STATE_CURRENT], 1);
}

static void test_current_that_does_not_parse_is_said_and_ignored(void **state)
{
    (void)state;
    kept_remember(&kept, span_of_text("p11-kms current 9\n"));
    assert_null(kept_current(&kept));
    assert_int_equal(heard_log_count("state-ignored", "current"), 1);
}

static void test_seeds_are_offered_once_a_second_at_most(void **state)
{
    (void)state;
    tick(NULL, 1);
    assert_int_equal(offers[STATE_SEEDS], 0);
    open_seed(1);
    tick(NULL, 10);
    open_seed(2);
    tick(NULL, 1009);
    assert_int_equal(offers[STATE_SEEDS], 1);
    tick(NULL, 1010);
    assert_int_equal(offers[STATE_SEEDS], 2);
    tick(NULL, 5000);
    assert_int_equal(offers[STATE_SEEDS], 2);
    static struct seed_name names[3];
    size_t n = 0;
    assert_ok(remember_parse(span_of(bytes, bytes_n), realm, names, 3, &n));
    assert_int_equal(n, 2);
}

/* At the limit of both; of those still to be opened there is no room for one. */
static void test_seeds_4096_of_the_longest_are_offered_whole(void **state)
{
    (void)state;
    static struct seed_name names[SEEDS_MAX];
    const uint8_t seed[SEED_LEN] = {1};
    struct seed_name name = {.head = {.scheme = ENVELOPE_AES_GCM},
                             .wrapped_len = ENVELOPE_WRAPPED_MAX};
    bool gone = false;
    pending = (struct pending){.names = &name, .gone = &gone, .n = 1, .left = 1};
    for (unsigned i = 0; i < SEEDS_MAX; i++) {
        const struct seed *added = NULL;
        name.key[0] = (uint8_t)i;
        name.key[1] = (uint8_t)(i >> 8);
        assert_ok(seeds_add(seeds, &name, span_of(seed, sizeof(seed)), &added));
    }
    kept_seeds_changed(&kept);
    tick(NULL, 1);
    size_t n = 0;
    assert_int_equal(bytes_n, REMEMBER_MAX);
    assert_ok(remember_parse(span_of(bytes, bytes_n), realm, names, SEEDS_MAX, &n));
    assert_int_equal(n, SEEDS_MAX);
}

static void test_offer_that_finds_no_way_is_made_again(void **state)
{
    (void)state;
    is_full = true;
    open_seed(1);
    tick(&newer, 10);
    is_full = false;
    tick(&newer, 1010);
    assert_int_equal(offers[STATE_CURRENT], 2);
    assert_int_equal(offers[STATE_SEEDS], 2);
    tick(&newer, 9000);
    assert_int_equal(offers[STATE_CURRENT] + offers[STATE_SEEDS], 4);
}

static void test_what_could_not_be_stored_is_offered_again_after_20_s(void **state)
{
    (void)state;
    const err_t full = FAIL_DETAIL(E_SYSTEM, ENOSPC, "no");
    open_seed(1);
    tick(&newer, 10);
    kept_stored(&kept, STATE_CURRENT, full, 10);
    kept_stored(&kept, STATE_SEEDS, full, 10);
    tick(&newer, 10 + AGAIN_MS - 1);
    assert_int_equal(offers[STATE_CURRENT] + offers[STATE_SEEDS], 2);
    tick(&newer, 10 + AGAIN_MS);
    assert_int_equal(offers[STATE_CURRENT] + offers[STATE_SEEDS], 4);
}

static void test_health_that_could_not_be_stored_touches_nothing_else(void **state)
{
    (void)state;
    open_seed(1);
    tick(&newer, 10);
    kept_stored(&kept, STATE_HEALTH, FAIL_DETAIL(E_SYSTEM, ENOSPC, "no"), 10);
    tick(&newer, 10 + AGAIN_MS);
    assert_int_equal(offers[STATE_CURRENT] + offers[STATE_SEEDS], 2);
}

static void test_reason_is_said_once_and_its_end(void **state)
{
    (void)state;
    kept_stored(&kept, STATE_SEEDS, OK, 1);
    for (int i = 0; i < 3; i++) {
        kept_stored(&kept, STATE_SEEDS, FAIL_DETAIL(E_SYSTEM, ENOSPC, "no"), 1);
    }
    assert_int_equal(heard_log_count("state-not-kept", NULL), 1);
    kept_stored(&kept, STATE_SEEDS, FAIL(E_LIMIT, "no number"), 1);
    kept_stored(&kept, STATE_SEEDS, FAIL(E_LIMIT, "no number"), 1);
    assert_int_equal(heard_log_count("state-not-kept", NULL), 2);
    kept_stored(&kept, STATE_SEEDS, OK, 1);
    kept_stored(&kept, STATE_SEEDS, OK, 1);
    assert_int_equal(heard_log_count("state-kept-again", NULL), 1);
}

/* As the keeper tells it: what became of it, and then in words. */
static void told(enum state_file file, err_t err, const char *why)
{
    kept_stored(&kept, file, err, 1);
    assert_false(kept_storing(&kept, file, why));
}

static void test_trouble_stands_until_every_file_is_stored(void **state)
{
    (void)state;
    const err_t full = FAIL_DETAIL(E_SYSTEM, ENOSPC, "no");
    told(STATE_SEEDS, full, "/state/seeds: full");
    told(STATE_HEALTH, full, "/state/health: full");
    assert_string_equal(kept.trouble, "/state/health: full");
    told(STATE_HEALTH, OK, "");
    assert_string_equal(kept.trouble, "/state/health: full");
    told(STATE_SEEDS, OK, "");
    assert_string_equal(kept.trouble, "");
}

static void test_folder_that_is_new_is_offered_all_at_once(void **state)
{
    (void)state;
    open_seed(1);
    tick(&newer, 10);
    kept_stored(&kept, STATE_HEALTH, FAIL_DETAIL(E_SYSTEM, ENOSPC, "no"), 10);
    assert_false(kept_storing(&kept, STATE_FILES, "/state: gone"));
    assert_true(kept_storing(&kept, STATE_FILES, ""));
    tick(&newer, 1010);
    assert_int_equal(offers[STATE_CURRENT], 2);
    assert_int_equal(offers[STATE_SEEDS], 2);
}

#define KEPT_TEST(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEPT_TEST(test_current_is_offered_when_it_becomes_another),
        KEPT_TEST(test_current_remembered_is_not_offered_again),
        KEPT_TEST(test_current_that_does_not_parse_is_said_and_ignored),
        KEPT_TEST(test_seeds_are_offered_once_a_second_at_most),
        KEPT_TEST(test_seeds_4096_of_the_longest_are_offered_whole),
        KEPT_TEST(test_offer_that_finds_no_way_is_made_again),
        KEPT_TEST(test_what_could_not_be_stored_is_offered_again_after_20_s),
        KEPT_TEST(test_health_that_could_not_be_stored_touches_nothing_else),
        KEPT_TEST(test_reason_is_said_once_and_its_end),
        KEPT_TEST(test_trouble_stands_until_every_file_is_stored),
        KEPT_TEST(test_folder_that_is_new_is_offered_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
