/* The way up after a failure: tries, sessions and time, with a module that only opens sessions. */
#include "pkcs11/ladder.h"

#include <string.h>

#include "base/clock.h"
#include "pkcs11/find.h"
#include "tests/kit/unit.h"

#define TRIES_MAX 64

static struct {
    CK_RV open[8]; /* what the n-th C_OpenSession says */
    unsigned opened;
    err_t ends[TRIES_MAX]; /* what the n-th try ends in */
    CK_SESSION_HANDLE in[TRIES_MAX];
    unsigned tries;
    unsigned judged;
    err_t verdict;
} seen;

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *ctx, CK_NOTIFY notify,
                          CK_SESSION_HANDLE_PTR session)
{
    (void)slot;
    (void)flags;
    (void)ctx;
    (void)notify;
    assert_true(seen.opened < 8);
    CK_RV rv = seen.open[seen.opened++];
    *session = 100 + seen.opened;
    return rv;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

static CK_FUNCTION_LIST functions = {.C_OpenSession = open_session,
                                     .C_CloseSession = close_session};
static const struct module module = {.fn = &functions, .initialised = true};
static const struct token token = {.label = "test"};
static struct session session;

static err_t attempt(struct session *in, void *ctx)
{
    assert_ptr_equal(ctx, &seen);
    assert_true(in->open && seen.tries < TRIES_MAX);
    seen.in[seen.tries] = in->handle;
    return seen.ends[seen.tries++];
}

static err_t judge(struct session *in, void *ctx, err_t err)
{
    (void)in;
    assert_ptr_equal(ctx, &seen);
    assert_true(failed(err));
    seen.judged++;
    return seen.verdict;
}

static err_t expire(void *ctx, err_t err)
{
    assert_ptr_equal(ctx, &seen);
    return FAIL_DETAIL(E_UNAVAILABLE, err.detail, "over");
}

static err_t climb(const struct ladder *ladder, int time_ms, bool judged)
{
    const struct climb up = {.ladder = ladder,
                             .deadline_ms = clock_mono_ms() + time_ms,
                             .attempt = attempt,
                             .judge = judged ? judge : NULL,
                             .expire = judged ? expire : NULL,
                             .ctx = &seen};
    return ladder_climb(&session, &up);
}

static err_t token_says(CK_RV rv)
{
    return FAIL_DETAIL(E_TOKEN, rv, "C_Something");
}

static int set_up(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    session = (struct session){.module = &module, .token = &token, .handle = 7, .open = true};
    return 0;
}

static const struct ladder once = {.renew = LADDER_ON(RV_SESSION) | LADDER_ON(RV_OUTAGE)};
static const struct ladder patient = {.renew = LADDER_ON(RV_SESSION) | LADDER_ON(RV_BUSY) |
                                               LADDER_ON_LIE | LADDER_ON_UNSUPPORTED,
                                      .again = LADDER_ON(RV_HANDLE),
                                      .patient = true};

static void test_climb_first_try_that_succeeds_is_the_only_one(void **state)
{
    (void)state;
    assert_ok(climb(&once, 0, true));
    assert_int_equal(seen.tries, 1);
    assert_int_equal(seen.in[0], 7);
    assert_int_equal(seen.judged, 0);
}

static void test_climb_session_that_is_not_open_is_opened_first(void **state)
{
    (void)state;
    session.open = false;
    assert_ok(climb(&once, 0, false));
    assert_int_equal(seen.in[0], 101);
    session.open = false;
    seen.open[1] = CKR_DEVICE_REMOVED;
    err_t err = climb(&patient, 1000, false);
    assert_fails(err, E_TOKEN);
    assert_int_equal(err.detail, CKR_DEVICE_REMOVED);
    assert_int_equal(seen.tries, 1);
}

static void test_climb_failure_of_no_set_is_told_at_once(void **state)
{
    (void)state;
    const err_t ends[] = {token_says(CKR_DEVICE_REMOVED), token_says(CKR_PIN_INCORRECT),
                          FAIL(E_NOT_FOUND, "none"), FAIL(E_INVALID, "bad")};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void)set_up(NULL);
        seen.ends[0] = ends[i];
        assert_fails(climb(&patient, 1000, true), ends[i].code);
        assert_int_equal(seen.tries, 1);
        assert_int_equal(seen.judged, 0);
    }
}

static void test_climb_impatient_tries_once_more_in_a_new_session(void **state)
{
    (void)state;
    seen.ends[0] = token_says(CKR_SESSION_CLOSED);
    assert_ok(climb(&once, 0, false));
    assert_int_equal(seen.tries, 2);
    assert_int_equal(seen.in[1], 101);
    (void)set_up(NULL);
    seen.ends[0] = token_says(CKR_SESSION_CLOSED);
    seen.ends[1] = token_says(CKR_GENERAL_ERROR);
    err_t err = climb(&once, 1000, false);
    assert_int_equal(err.detail, CKR_GENERAL_ERROR);
    assert_int_equal(seen.tries, 2);
    assert_int_equal(seen.opened, 1);
}

static void test_climb_impatient_without_a_new_session_ends(void **state)
{
    (void)state;
    seen.ends[0] = token_says(CKR_SESSION_CLOSED);
    seen.open[0] = CKR_TOKEN_WRITE_PROTECTED;
    seen.open[1] = seen.open[2] = CKR_SESSION_COUNT;
    err_t err = climb(&once, 1000, false);
    assert_int_equal(err.detail, CKR_SESSION_COUNT);
    assert_int_equal(seen.tries, 1);
}

static void test_climb_patient_goes_on_until_it_succeeds(void **state)
{
    (void)state;
    seen.ends[0] = token_says(CKR_SESSION_CLOSED);
    seen.ends[1] = FAIL(E_PROTOCOL, "a lie");
    seen.ends[2] = FAIL(E_UNSUPPORTED, "an IV of its own");
    seen.ends[3] = token_says(CKR_DEVICE_MEMORY);
    assert_ok(climb(&patient, 60000, false));
    assert_int_equal(seen.tries, 5);
    assert_int_equal(seen.opened, 4);
}

static void test_climb_again_keeps_the_session(void **state)
{
    (void)state;
    seen.ends[0] = token_says(CKR_KEY_HANDLE_INVALID);
    assert_ok(climb(&patient, 60000, false));
    assert_int_equal(seen.tries, 2);
    assert_int_equal(seen.in[1], 7);
    assert_int_equal(seen.opened, 0);
}

static void test_climb_patient_gets_its_session_later(void **state)
{
    (void)state;
    seen.ends[0] = token_says(CKR_SESSION_CLOSED);
    seen.open[0] = seen.open[1] = CKR_SESSION_COUNT;
    assert_ok(climb(&patient, 60000, false));
    assert_int_equal(seen.tries, 2);
    assert_int_equal(seen.in[1], 103);
}

static void test_climb_patient_ends_where_the_token_is_lost(void **state)
{
    (void)state;
    seen.ends[0] = token_says(CKR_SESSION_CLOSED);
    seen.open[0] = CKR_TOKEN_NOT_PRESENT;
    err_t err = climb(&patient, 60000, true);
    assert_fails(err, E_TOKEN);
    assert_int_equal(err.detail, CKR_TOKEN_NOT_PRESENT);
    assert_int_equal(seen.tries, 1);
}

static void test_climb_verdict_ends_it(void **state)
{
    (void)state;
    seen.ends[0] = token_says(CKR_SESSION_CLOSED);
    seen.verdict = FAIL(E_INVALID, "never");
    assert_fails(climb(&patient, 60000, true), E_INVALID);
    assert_int_equal(seen.tries, 1);
    assert_int_equal(seen.opened, 0);
}

static void test_climb_time_over_ends_it_as_asked(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        seen.ends[i] = token_says(CKR_KEY_HANDLE_INVALID);
    }
    err_t err = climb(&patient, 0, false);
    assert_fails(err, E_TOKEN);
    assert_int_equal(err.detail, CKR_KEY_HANDLE_INVALID);
    assert_int_equal(seen.tries, 1);
    int64_t begin_ms = clock_mono_ms();
    assert_fails(climb(&patient, 150, true), E_UNAVAILABLE);
    assert_true(clock_mono_ms() - begin_ms >= 10);
    assert_true(seen.judged >= 2);
}

#define LADDER_TEST(test_) cmocka_unit_test_setup(test_, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LADDER_TEST(test_climb_first_try_that_succeeds_is_the_only_one),
        LADDER_TEST(test_climb_session_that_is_not_open_is_opened_first),
        LADDER_TEST(test_climb_failure_of_no_set_is_told_at_once),
        LADDER_TEST(test_climb_impatient_tries_once_more_in_a_new_session),
        LADDER_TEST(test_climb_impatient_without_a_new_session_ends),
        LADDER_TEST(test_climb_patient_goes_on_until_it_succeeds),
        LADDER_TEST(test_climb_again_keeps_the_session),
        LADDER_TEST(test_climb_patient_gets_its_session_later),
        LADDER_TEST(test_climb_patient_ends_where_the_token_is_lost),
        LADDER_TEST(test_climb_verdict_ends_it),
        LADDER_TEST(test_climb_time_over_ends_it_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
