#include "pkcs11/rv.h"

#include "tests/kit/unit.h"

static void test_rv_class_each_kind_has_its_reaction(void **state)
{
    (void)state;
    assert_int_equal(rv_class(CKR_OK), RV_FINE);
    assert_int_equal(rv_class(CKR_ENCRYPTED_DATA_INVALID), RV_DATA);
    assert_int_equal(rv_class(CKR_SESSION_HANDLE_INVALID), RV_SESSION);
    assert_int_equal(rv_class(CKR_OBJECT_HANDLE_INVALID), RV_HANDLE);
    assert_int_equal(rv_class(CKR_SESSION_COUNT), RV_BUSY);
    assert_int_equal(rv_class(CKR_DEVICE_REMOVED), RV_LOST);
    assert_int_equal(rv_class(CKR_MECHANISM_INVALID), RV_FAULT);
    assert_int_equal(rv_class(CKR_GENERAL_ERROR), RV_OUTAGE);
}

static void test_rv_class_refused_pin_is_never_anything_else(void **state)
{
    (void)state;
    const CK_RV refused[] = {CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE,
                             CKR_PIN_EXPIRED};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_int_equal(rv_class(refused[i]), RV_PIN);
    }
}

static void test_rv_class_unknown_and_vendor_codes_say_nothing(void **state)
{
    (void)state;
    assert_int_equal(rv_class(0x7777), RV_OUTAGE);
    assert_int_equal(rv_class(CKR_VENDOR_DEFINED + 5), RV_OUTAGE);
    assert_string_equal(rv_name(CKR_VENDOR_DEFINED + 5), "CKR_VENDOR_DEFINED");
    assert_string_equal(rv_name(CKR_GENERAL_ERROR), "CKR_GENERAL_ERROR");
}

static void test_rv_class_of_other_errors_is_fine(void **state)
{
    (void)state;
    assert_int_equal(rv_class_of(FAIL(E_NOT_FOUND, "x")), RV_FINE);
    assert_int_equal(rv_class_of(FAIL_DETAIL(E_TOKEN, CKR_PIN_LOCKED, "x")), RV_PIN);
}

static err_t failing(CK_RV rv)
{
    RV_TRY(rv, "C_Decrypt");
    return OK;
}

static void test_is_of_names_the_function_that_failed(void **state)
{
    (void)state;
    assert_true(rv_is_of(failing(CKR_GENERAL_ERROR), "C_Decrypt"));
    assert_false(rv_is_of(failing(CKR_GENERAL_ERROR), "C_DecryptInit"));
    assert_false(rv_is_of(failing(CKR_OK), "C_Decrypt"));
    assert_false(rv_is_of(FAIL(E_INVALID, "C_Decrypt"), "C_Decrypt"));
}

static void test_may_pass_what_says_nothing_and_back_pressure(void **state)
{
    (void)state;
    assert_true(rv_may_pass(failing(CKR_DEVICE_ERROR)));
    assert_true(rv_may_pass(failing(CKR_DEVICE_MEMORY)));
    assert_false(rv_may_pass(failing(CKR_ENCRYPTED_DATA_INVALID)));
    assert_false(rv_may_pass(failing(CKR_PIN_LOCKED)));
    assert_false(rv_may_pass(OK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rv_class_each_kind_has_its_reaction),
        cmocka_unit_test(test_rv_class_refused_pin_is_never_anything_else),
        cmocka_unit_test(test_rv_class_unknown_and_vendor_codes_say_nothing),
        cmocka_unit_test(test_rv_class_of_other_errors_is_fine),
        cmocka_unit_test(test_is_of_names_the_function_that_failed),
        cmocka_unit_test(test_may_pass_what_says_nothing_and_back_pressure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
