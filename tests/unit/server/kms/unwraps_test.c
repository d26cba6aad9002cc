#include "server/kms/unwraps.h"

#include "tests/kit/unit.h"

static struct client_request asked; /* the last */
static unsigned asked_n;
static const void *cancelled;
static unsigned cancelled_n;
static enum err_code client_says;

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms);
void __wrap_client_cancel(struct client *client, const void *ctx);

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms)
{
    (void)client;
    (void)now_ms;
    asked = *request;
    asked_n++;
    return client_says == E_NONE ? OK : FAIL(E_LIMIT, "full");
}

void __wrap_client_cancel(struct client *client, const void *ctx)
{
    (void)client;
    cancelled = ctx;
    cancelled_n++;
}

static struct unwraps unwraps;
static struct unwrap heard;
static unsigned heard_n;
static const struct ipc_key_ref ref = {.id_len = 16};
static const struct client_reply opened;

static void on_reply(void *ctx, const struct unwrap *unwrap, const struct client_reply *reply)
{
    assert_ptr_equal(ctx, &heard_n);
    assert_ptr_equal(reply, &opened);
    heard = *unwrap;
    heard_n++;
}

static int setup(void **state)
{
    (void)state;
    asked_n = cancelled_n = heard_n = 0;
    client_says = E_NONE;
    unwraps = (struct unwraps){0};
    unwraps_init(&unwraps, NULL, &(struct unwraps_events){&heard_n, on_reply});
    return 0;
}

static struct seed_name name_of(unsigned n)
{
    struct seed_name name = {.wrapped_len = 61};
    name.key[0] = (uint8_t)n;
    name.key[1] = (uint8_t)(n >> 8);
    return name;
}

static void test_unwraps_start_again_asks_once(void **state)
{
    (void)state;
    struct seed_name name = name_of(1);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 5));
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 6));
    assert_int_equal(asked_n, 1);
    asked.done(asked.ctx, &opened);
    assert_int_equal(heard_n, 1);
    assert_int_equal(heard.started_ms, 5);
    assert_int_equal(unwraps.n, 0);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 7));
    assert_int_equal(asked_n, 2);
}

static void test_unwraps_start_more_urgently_takes_over(void **state)
{
    (void)state;
    struct seed_name name = name_of(1);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_BACKGROUND, 5));
    assert_int_equal(unwraps.background_n, 1);
    const void *background = asked.ctx;
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_KNOWN, 6));
    assert_int_equal(asked_n, 2);
    assert_int_equal(cancelled_n, 1);
    assert_ptr_equal(cancelled, background);
    assert_int_equal(unwraps.background_n, 0);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_BACKGROUND, 7));
    assert_int_equal(asked_n, 2);
    assert_int_equal(unwraps.n, 1);
}

static void test_unwraps_start_past_the_limit_is_refused(void **state)
{
    (void)state;
    for (unsigned n = 0; n < UNWRAPS_MAX; n++) {
        struct seed_name name = name_of(n);
        assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 5));
    }
    struct seed_name name = name_of(UNWRAPS_MAX);
    assert_fails(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 5), E_LIMIT);
    struct seed_name known = name_of(1);
    assert_ok(unwraps_start(&unwraps, &known, &ref, CLIENT_LIVE, 5));
}

static void test_unwraps_start_with_a_full_client_leaves_nothing(void **state)
{
    (void)state;
    struct seed_name name = name_of(1);
    client_says = E_LIMIT;
    assert_fails(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 5), E_LIMIT);
    assert_int_equal(unwraps.n, 0);
}

static void test_unwraps_abandon_spares_the_background(void **state)
{
    (void)state;
    struct seed_name live = name_of(1);
    struct seed_name background = name_of(2);
    assert_ok(unwraps_start(&unwraps, &live, &ref, CLIENT_LIVE, 5));
    assert_ok(unwraps_start(&unwraps, &background, &ref, CLIENT_BACKGROUND, 5));
    unwraps_abandon(&unwraps, live.key);
    unwraps_abandon(&unwraps, background.key);
    assert_int_equal(cancelled_n, 1);
    assert_int_equal(unwraps.n, 1);
}

/* A second asking is known as such by whoever takes the reply, also when it was made more urgent.
 */
static void test_unwraps_mark_again_stays_with_the_asking(void **state)
{
    (void)state;
    struct seed_name name = name_of(1);
    struct seed_name other = name_of(2);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_BACKGROUND, 5));
    unwraps_mark_again(&unwraps, other.key);
    unwraps_mark_again(&unwraps, name.key);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 6));
    asked.done(asked.ctx, &opened);
    assert_true(heard.again);
    assert_int_equal(heard.class, CLIENT_LIVE);
    assert_ok(unwraps_start(&unwraps, &other, &ref, CLIENT_LIVE, 6));
    asked.done(asked.ctx, &opened);
    assert_false(heard.again);
}

#define UNWRAPS_TEST(test_) cmocka_unit_test_setup(test_, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNWRAPS_TEST(test_unwraps_start_again_asks_once),
        UNWRAPS_TEST(test_unwraps_start_more_urgently_takes_over),
        UNWRAPS_TEST(test_unwraps_start_past_the_limit_is_refused),
        UNWRAPS_TEST(test_unwraps_start_with_a_full_client_leaves_nothing),
        UNWRAPS_TEST(test_unwraps_abandon_spares_the_background),
        UNWRAPS_TEST(test_unwraps_mark_again_stays_with_the_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
