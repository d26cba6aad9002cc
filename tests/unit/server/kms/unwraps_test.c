#include "server/kms/unwraps.h"

#include "tests/kit/unit.h"

static unsigned asked_n;
static unsigned cancelled_n;
static enum err_code client_says;

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms);
void __wrap_client_cancel(struct client *client, uint64_t cookie);

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms)
{
    (void)client;
    (void)request;
    (void)now_ms;
    asked_n++;
    return client_says == E_NONE ? OK : FAIL(E_LIMIT, "full");
}

void __wrap_client_cancel(struct client *client, uint64_t cookie)
{
    (void)client;
    (void)cookie;
    cancelled_n++;
}

static struct unwraps unwraps;
static const struct ipc_key_ref ref = {.id_len = 16};

static int setup(void **state)
{
    (void)state;
    asked_n = cancelled_n = 0;
    client_says = E_NONE;
    unwraps_init(&unwraps, NULL, 0x100000);
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
    struct unwrap unwrap;
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 5));
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_LIVE, 6));
    assert_int_equal(asked_n, 1);
    assert_true(unwraps_take(&unwraps, 0x100001, &unwrap));
    assert_int_equal(unwrap.started_ms, 5);
    assert_false(unwraps_take(&unwraps, 0x100001, &unwrap));
}

static void test_unwraps_start_more_urgently_takes_over(void **state)
{
    (void)state;
    struct seed_name name = name_of(1);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_BACKGROUND, 5));
    assert_int_equal(unwraps.background_n, 1);
    assert_ok(unwraps_start(&unwraps, &name, &ref, CLIENT_KNOWN, 6));
    assert_int_equal(asked_n, 2);
    assert_int_equal(cancelled_n, 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_unwraps_start_again_asks_once, setup),
        cmocka_unit_test_setup(test_unwraps_start_more_urgently_takes_over, setup),
        cmocka_unit_test_setup(test_unwraps_start_past_the_limit_is_refused, setup),
        cmocka_unit_test_setup(test_unwraps_start_with_a_full_client_leaves_nothing, setup),
        cmocka_unit_test_setup(test_unwraps_abandon_spares_the_background, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
