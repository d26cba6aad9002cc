#include "pkcs11/uri.h"

#include <string.h>

#include "tests/kit/unit.h"

static CK_TOKEN_INFO token_of(const char *label, const char *serial)
{
    CK_TOKEN_INFO info = {0};
    memset(info.label, ' ', sizeof(info.label));
    memset(info.serialNumber, ' ', sizeof(info.serialNumber));
    memset(info.model, ' ', sizeof(info.model));
    memset(info.manufacturerID, ' ', sizeof(info.manufacturerID));
    memcpy(info.label, label, strlen(label));
    memcpy(info.serialNumber, serial, strlen(serial));
    return info;
}

static void refuse(const char *text)
{
    struct uri *uri = NULL;
    assert_fails(uri_parse(text, &uri), E_INVALID);
    assert_null(uri);
}

static void test_uri_parse_label_and_serial_match_only_that_token(void **state)
{
    (void)state;
    CLEANUP(uri_free_p) struct uri *uri = NULL;
    assert_ok(uri_parse("pkcs11:token=my%20token;serial=0042", &uri));
    CK_TOKEN_INFO same = token_of("my token", "0042");
    CK_TOKEN_INFO other_label = token_of("my token2", "0042");
    CK_TOKEN_INFO other_serial = token_of("my token", "0043");
    assert_true(uri_matches(uri, &same));
    assert_false(uri_matches(uri, &other_label));
    assert_false(uri_matches(uri, &other_serial));
}

static void test_uri_parse_what_would_match_too_much_is_refused(void **state)
{
    (void)state;
    refuse("");
    refuse("pkcs11:");
    refuse("token=a");
    refuse("PKCS11:token=a");
    refuse("pkcs11:token");
    refuse("pkcs11:token=a;");
    refuse("pkcs11:token=a;;serial=b");
    refuse("pkcs11:token=a;tokem=b");
    refuse("pkcs11:token=a;x-vendor=b");
    refuse("pkcs11:slot-id=0");
    refuse("pkcs11:token=%zz");
}

static void test_uri_parse_repeated_attribute_is_refused(void **state)
{
    (void)state;
    refuse("pkcs11:token=a;token=b");
    refuse("pkcs11:token=a;serial=1;token=a");
}

static void test_uri_parse_pin_or_module_in_the_uri_is_refused(void **state)
{
    (void)state;
    refuse("pkcs11:token=a?pin-value=1234");
    refuse("pkcs11:token=a?pin-source=/etc/pin");
    refuse("pkcs11:token=a?module-path=/lib/x.so");
    refuse("pkcs11:token=a;pin-value=1234");
}

static void test_uri_parse_label_of_32_bytes_passes_and_33_are_refused(void **state)
{
    (void)state;
    CLEANUP(uri_free_p) struct uri *uri = NULL;
    assert_ok(uri_parse("pkcs11:token=01234567890123456789012345678901", &uri));
    refuse("pkcs11:token=012345678901234567890123456789012");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uri_parse_label_and_serial_match_only_that_token),
        cmocka_unit_test(test_uri_parse_what_would_match_too_much_is_refused),
        cmocka_unit_test(test_uri_parse_repeated_attribute_is_refused),
        cmocka_unit_test(test_uri_parse_pin_or_module_in_the_uri_is_refused),
        cmocka_unit_test(test_uri_parse_label_of_32_bytes_passes_and_33_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
