/* What makes a latched login worth another look, and that nothing else does. */
#include "pkcs11/pin_retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/role.h"
#include "tests/kit/unit.h"

#define SERIAL "0123456789abcdef"
#define NOW_MS 100000

static bool ordered;

err_t __wrap_role_get_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span_mut room, size_t *ret_len);

err_t __wrap_role_get_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span_mut room, size_t *ret_len)
{
    (void)control_fd;
    (void)part;
    assert_int_equal(file, STATE_PIN);
    *ret_len = ordered ? 0 : 4;
    assert_true(span_copy(room, span_of("else", *ret_len)));
    return OK;
}

static CK_FLAGS pin_flags;
static CK_RV answer;

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
    (void)slot;
    memset(info, ' ', sizeof(*info));
    memcpy(info->label, "test", 4);
    memcpy(info->serialNumber, SERIAL, 16);
    info->flags = CKF_TOKEN_INITIALIZED | pin_flags;
    return answer;
}

static CK_FUNCTION_LIST functions = {.C_GetTokenInfo = token_info};
static const struct module module = {.fn = &functions, .initialised = true};
static const struct token token = {.label = "test", .serial = SERIAL};
static const struct session session = {.module = &module, .token = &token, .open = true};
static struct config_token config;
static struct pin_guard guard;

static void write_pin(const char *pin)
{
    FILE *file = fopen(config.pin_file, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "%s\n", pin) > 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    ordered = false;
    answer = CKR_OK;
    pin_flags = CKF_USER_PIN_COUNT_LOW;
    (void)snprintf(config.pin_file, sizeof(config.pin_file), "%s", "/tmp/p11-kms-retry-XXXXXX");
    assert_int_equal(close(mkstemp(config.pin_file)), 0);
    write_pin("1234");
    guard = (struct pin_guard){.config = &config,
                               .look = pin_file_look(&config),
                               .flags = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_COUNT_LOW};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(config.pin_file);
}

static bool is_due(void)
{
    return pin_retry_due(&guard, &session, NOW_MS);
}

static void test_retry_is_not_due_while_nothing_changes(void **state)
{
    (void)state;
    assert_false(is_due());
    pin_flags |= CKF_RNG; /* no word about a PIN */
    assert_false(is_due());
    answer = CKR_DEVICE_ERROR; /* nothing is known of its flags now */
    pin_flags = 0;
    assert_false(is_due());
}

static void test_retry_is_due_with_an_order(void **state)
{
    (void)state;
    ordered = true;
    assert_true(is_due());
}

static void test_retry_is_due_with_another_file_or_none(void **state)
{
    (void)state;
    write_pin("56789");
    assert_true(is_due());
    guard.look = pin_file_look(&config);
    assert_false(is_due());
    guard.look.there = false;
    assert_true(is_due());
}

static void test_retry_is_due_when_the_flags_of_the_pin_change(void **state)
{
    (void)state;
    static const CK_FLAGS changed[] = {0, CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY,
                                       CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_LOCKED};
    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
        pin_flags = changed[i];
        assert_true(is_due());
    }
}

static void test_retry_is_due_at_its_time(void **state)
{
    (void)state;
    guard.retry_ms = NOW_MS + 1;
    assert_false(is_due());
    guard.retry_ms = NOW_MS;
    assert_true(is_due());
}

#define RETRY_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RETRY_TEST(test_retry_is_not_due_while_nothing_changes),
        RETRY_TEST(test_retry_is_due_with_an_order),
        RETRY_TEST(test_retry_is_due_with_another_file_or_none),
        RETRY_TEST(test_retry_is_due_when_the_flags_of_the_pin_change),
        RETRY_TEST(test_retry_is_due_at_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
