/* lister: one listing at a time, and of all keys at most once a second. */
#include "server/kms/lister.h"
#include "tests/kit/unit.h"

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms);
static struct client_request asked;
static bool is_full;
static unsigned listed_n;
static bool listed_all;
static const struct client_reply complete;
static const struct client_reply refused_reply = {
    .err = {.code = E_TOKEN, .what = "refused", .where = "here"}};

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms)
{
    (void)client;
    (void)now_ms;
    asked = *request;
    return is_full ? FAIL(E_LIMIT, "full") : OK;
}

static void on_listed(void *ctx, const struct client_reply *reply, bool all)
{
    const struct lister *lister = ctx;
    assert_true(reply == &complete || reply == &refused_reply);
    assert_false(lister->running); /* another may be started */
    listed_n++;
    listed_all = all;
}

static struct lister lister;
static const struct lister_events events = {&lister, on_listed};
static uint64_t numbers;

static void begin(void)
{
    numbers = 0;
    lister_init(&lister, NULL, &numbers, &events);
}

static void test_lister_lists_all_keys_once_a_second(void **state)
{
    (void)state;
    struct times now = {.boot_ms = 5000, .mono_ms = 5000};
    begin();
    assert_int_equal(lister_due_ms(&lister, 9000), 9000);
    lister_want_all(&lister);
    assert_true(lister_due_ms(&lister, 9000) <= 5000);
    assert_ok(lister_start(&lister, "prod", NULL, now));
    assert_int_equal(asked.list.all, 1);
    assert_int_equal(lister_due_ms(&lister, 0), INT64_MAX);
    lister_want_all(&lister);
    asked.done(asked.ctx, &complete);
    assert_true(listed_all);
    assert_int_equal(lister.all_done, 1); /* the second wish is still open */
    assert_int_equal(lister_due_ms(&lister, 9000), 6000);
}

static void test_lister_that_failed_wants_all_again(void **state)
{
    (void)state;
    struct times now = {.boot_ms = 5000, .mono_ms = 5000};
    begin();
    lister_want_all(&lister);
    assert_ok(lister_start(&lister, "prod", NULL, now));
    asked.done(asked.ctx, &refused_reply);
    assert_true(lister.failing);
    assert_int_equal(lister.all_done, 0);
    now.boot_ms = 6000;
    assert_ok(lister_start(&lister, "prod", NULL, now));
    assert_int_equal(asked.list.all, 1);
}

/* Else the owner's loop, which comes back when a listing is due, would not rest. */
static void test_lister_that_could_not_start_waits_a_second(void **state)
{
    (void)state;
    struct times now = {.boot_ms = 5000, .mono_ms = 5000};
    begin();
    lister_want_all(&lister);
    is_full = true;
    assert_fails(lister_start(&lister, "prod", NULL, now), E_LIMIT);
    is_full = false;
    assert_int_equal(lister_due_ms(&lister, 9000), 6000);
    now.boot_ms = 6000;
    assert_ok(lister_start(&lister, "prod", NULL, now));
    assert_int_equal(asked.list.all, 1);
    assert_int_equal(numbers, 1);
}

/* What a call waits for is a listing of all keys; one of the ring answers nobody. */
static void test_lister_of_the_ring_alone_is_none_of_all(void **state)
{
    (void)state;
    struct times now = {.boot_ms = 5000, .mono_ms = 5000};
    begin();
    listed_n = 0;
    assert_ok(lister_start(&lister, "prod", NULL, now));
    assert_int_equal(asked.list.all, 0);
    lister_want_all(&lister); /* the running one may have missed the key */
    asked.done(asked.ctx, &complete);
    assert_int_equal(listed_n, 1);
    assert_false(listed_all);
    assert_int_equal(lister.all_done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lister_lists_all_keys_once_a_second),
        cmocka_unit_test(test_lister_that_failed_wants_all_again),
        cmocka_unit_test(test_lister_that_could_not_start_waits_a_second),
        cmocka_unit_test(test_lister_of_the_ring_alone_is_none_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
