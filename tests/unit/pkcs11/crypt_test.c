/*
 * What a failure of the token is: data that never opens, an outage, or nothing worth telling. On a
 * fake module, by a clock that only pauses move.
 */
#include "pkcs11/crypt.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "pkcs11/list.h"
#include "tests/kit/fake_module.h"
#include "tests/kit/unit.h"

#define LONG_MS 20000

static int64_t now_ms = 1000000;
static struct session session;
static struct fake_object *object;
static struct ipc_crypt ask;
static uint8_t wrapped[256];
static size_t wrapped_len;
static uint8_t out[256];
static size_t out_len;

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int64_t __wrap_clock_mono_ms(void);

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    (void)fds;
    (void)n;
    now_ms += timeout_ms;
    return 0;
}

int64_t __wrap_clock_mono_ms(void)
{
    return now_ms;
}

static err_t wrap(const char *text)
{
    const struct request request = {
        .header = {.verb = IPC_WRAP}, .ask = {.crypt = ask}, .data = span_of_text(text)};
    return crypt_do(&session, &request, now_ms + LONG_MS, span_mut_of(wrapped, sizeof(wrapped)),
                    &wrapped_len);
}

static err_t unwrap_within(int ms)
{
    const struct request request = {.header = {.verb = IPC_UNWRAP},
                                    .ask = {.crypt = ask},
                                    .data = span_of(wrapped, wrapped_len)};
    return crypt_do(&session, &request, now_ms + ms, span_mut_of(out, sizeof(out)), &out_len);
}

static err_t unwrap(void)
{
    return unwrap_within(LONG_MS);
}

/* A key that is listed, and "seed" wrapped by it. */
static int set_up(void **state)
{
    static unsigned n;
    struct ipc_list list = {0};
    struct listing listing;
    char label[64];
    (void)state;
    fake_module_reset();
    (void)snprintf(list.ring, sizeof(list.ring), "r%u", ++n);
    (void)snprintf(label, sizeof(label), "p11k:%s:00000001:00000001", list.ring);
    object = fake_module_key(label, 1);
    session = (struct session){.module = &fake_module, .token = &fake_token};
    if (failed(session_open(&session, false)) || failed(list_keys(&session, &list, &listing))) {
        return -1;
    }
    ask = (struct ipc_crypt){.key = listing.keys[0].ref, .aad_len = 3, .aad = "aad"};
    listing_free(&listing);
    return failed(wrap("seed")) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    session_close(&session);
    return 0;
}

static void assert_opens(void)
{
    assert_ok(unwrap());
    assert_int_equal(out_len, 4);
    assert_memory_equal(out, "seed", 4);
}

static void test_unwrap_gives_what_was_wrapped(void **state)
{
    (void)state;
    assert_opens();
}

static void test_crypt_scheme_that_is_unknown_reaches_no_token(void **state)
{
    (void)state;
    unsigned before = fake_module_count("C_DecryptInit");
    ask.key.scheme = 99;
    assert_fails(unwrap(), E_UNSUPPORTED);
    assert_int_equal(fake_module_count("C_DecryptInit"), before);
}

static void test_unwrap_one_failure_of_any_kind_costs_no_answer(void **state)
{
    (void)state;
    static const char *const orders[] = {
        "C_Decrypt rv 0x5 1\n",      "C_Decrypt rv 0x30 1\n",     "C_Decrypt rv 0x31 1\n",
        "C_Decrypt rv 0x40 1\n",     "C_Decrypt rv 0x54 1\n",     "C_Decrypt rv 0x80000001 1\n",
        "C_DecryptInit rv 0x40 1\n", "C_DecryptInit rv 0x82 1\n", "C_Decrypt rv 0xb3 1\n"};
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        fake_module_order(orders[i]);
        assert_opens();
    }
}

static void test_unwrap_session_that_was_spoilt_is_replaced(void **state)
{
    (void)state;
    unsigned before = fake_module_count("C_OpenSession");
    fake_module_order("C_Decrypt rv 0xb3 1\n");
    assert_opens();
    assert_int_equal(fake_module_count("C_OpenSession"), before + 1);
}

static void test_unwrap_key_under_another_handle_is_found_again(void **state)
{
    (void)state;
    object->handle += 0x10000;
    assert_opens();
}

/* The canary is refused with the very code that the bytes are. */
static void test_unwrap_bad_bytes_are_refused_twice_where_the_code_says_so(void **state)
{
    (void)state;
    unsigned before = fake_module_count("C_Decrypt");
    wrapped[wrapped_len - 1] ^= 1;
    assert_fails(unwrap(), E_INVALID);
    assert_int_equal(fake_module_count("C_Decrypt"), before + 2);
}

/* With 2 to 4 canaries that open and one that does not in each of five rounds. */
static void test_unwrap_bad_bytes_are_refused_seven_times_where_the_code_says_nothing(void **state)
{
    (void)state;
    wrapped[wrapped_len - 1] ^= 1;
    fake_module_refuse_with(CKR_GENERAL_ERROR);
    unsigned before = fake_module_count("C_Decrypt");
    assert_fails(unwrap(), E_INVALID);
    unsigned calls = fake_module_count("C_Decrypt") - before;
    assert_true(calls >= 7 + 5 * 3 && calls <= 7 + 5 * 5);
}

static void test_unwrap_bad_bytes_without_time_for_a_verdict_are_no_outage(void **state)
{
    (void)state;
    wrapped[wrapped_len - 1] ^= 1;
    fake_module_refuse_with(CKR_GENERAL_ERROR);
    assert_fails(unwrap_within(200), E_UNAVAILABLE);
    assert_fails(unwrap(), E_INVALID);
}

static void test_unwrap_failure_that_hits_the_canary_too_is_an_outage(void **state)
{
    (void)state;
    wrapped[wrapped_len - 1] ^= 1;
    fake_module_order("C_Decrypt rv 0x5\n");
    err_t err = unwrap();
    assert_int_equal(err.code, E_TOKEN);
    assert_int_equal(err.detail, CKR_GENERAL_ERROR);
}

static void test_unwrap_malformed_bytes_are_told_at_once(void **state)
{
    (void)state;
    unsigned before = fake_module_count("C_DecryptInit");
    wrapped[0] = 11;
    assert_fails(unwrap(), E_INVALID);
    assert_int_equal(fake_module_count("C_DecryptInit"), before);
}

static void test_wrap_fault_of_the_key_is_told_at_once(void **state)
{
    (void)state;
    unsigned before = fake_module_count("C_EncryptInit");
    fake_module_order("C_EncryptInit rv 0x68\n");
    assert_fails(wrap("seed"), E_TOKEN);
    assert_int_equal(fake_module_count("C_EncryptInit"), before + 1);
}

static void test_wrap_outage_is_tried_until_the_time_is_over(void **state)
{
    (void)state;
    int64_t begin_ms = now_ms;
    fake_module_order("C_Encrypt rv 0x30\n");
    assert_fails(wrap("seed"), E_TOKEN);
    assert_true(now_ms - begin_ms > LONG_MS - 500 && now_ms - begin_ms <= LONG_MS);
}

static void test_wrap_token_that_is_lost_is_told_at_once(void **state)
{
    (void)state;
    unsigned before = fake_module_count("C_EncryptInit");
    fake_module_order("C_EncryptInit rv 0x32\n");
    err_t err = wrap("seed");
    assert_int_equal(err.code, E_TOKEN);
    assert_int_equal(err.detail, CKR_DEVICE_REMOVED);
    assert_int_equal(fake_module_count("C_EncryptInit"), before + 1);
}

static void test_unwrap_session_that_cannot_be_opened_says_nothing_of_the_key(void **state)
{
    (void)state;
    unsigned before = fake_module_count("C_FindObjectsInit");
    fake_module_order("C_Decrypt rv 0x5 1\nC_OpenSession rv 0x60 2\n");
    assert_ok(unwrap());
    assert_int_equal(fake_module_count("C_FindObjectsInit"), before);
}

#define CRYPT_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CRYPT_TEST(test_unwrap_gives_what_was_wrapped),
        CRYPT_TEST(test_crypt_scheme_that_is_unknown_reaches_no_token),
        CRYPT_TEST(test_unwrap_one_failure_of_any_kind_costs_no_answer),
        CRYPT_TEST(test_unwrap_session_that_was_spoilt_is_replaced),
        CRYPT_TEST(test_unwrap_session_that_cannot_be_opened_says_nothing_of_the_key),
        CRYPT_TEST(test_unwrap_key_under_another_handle_is_found_again),
        CRYPT_TEST(test_unwrap_bad_bytes_are_refused_twice_where_the_code_says_so),
        CRYPT_TEST(test_unwrap_bad_bytes_are_refused_seven_times_where_the_code_says_nothing),
        CRYPT_TEST(test_unwrap_bad_bytes_without_time_for_a_verdict_are_no_outage),
        CRYPT_TEST(test_unwrap_failure_that_hits_the_canary_too_is_an_outage),
        CRYPT_TEST(test_unwrap_malformed_bytes_are_told_at_once),
        CRYPT_TEST(test_wrap_fault_of_the_key_is_told_at_once),
        CRYPT_TEST(test_wrap_outage_is_tried_until_the_time_is_over),
        CRYPT_TEST(test_wrap_token_that_is_lost_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
