#define _GNU_SOURCE
#include "pkcs11/pin.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/kit/unit.h"

static void refused_for(struct span pin, const char *what)
{
    err_t err = pin_check_content(pin);
    assert_int_equal(err.code, E_INVALID);
    if (strstr(err.what, what) == NULL) {
        fail_msg("\"%s\" does not name: %s", err.what, what);
    }
}

static void test_content_that_a_pin_may_have(void **state)
{
    (void)state;
    static const char *const good[] = {
        "1234", "a", "crypto user:pass word", "\xc3\xa4\xe2\x82\xac", "\xa0", "~!#"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_ok(pin_check_content(span_of_text(good[i])));
    }
}

static void test_content_that_came_along_unseen_is_named(void **state)
{
    (void)state;
    refused_for(span_of_text("1234\r"), "carriage return");
    refused_for(span_of_text("1234\r\n"), "carriage return");
    refused_for(span_of_text("1234\n"), "more than one line");
    refused_for(span_of_text("12\n34"), "more than one line");
    refused_for(span_of_text("\n1234"), "more than one line");
    refused_for(span_of_text("12\t34"), "control character");
    refused_for(span_of_text("1234\x7f"), "control character");
    refused_for(span_of("12\0", 3), "control character");
    refused_for(span_of_text("\xef\xbb\xbf" "1234"), "byte order mark");
    refused_for(span_of("\xff\xfe" "1\0" "2\0", 6), "byte order mark");
    refused_for(span_of("\xfe\xff\0" "1", 4), "byte order mark");
    refused_for(span_of_text(" 1234"), "starts with a blank");
    refused_for(span_of_text("1234 "), "ends with a blank");
    refused_for(span_of_text("\xc2\xa0" "1234"), "starts with a blank");
    refused_for(span_of_text("1234\xc2\xa0"), "ends with a blank");
    refused_for(span_of_text(" "), "blank");
}

struct place {
    char path[64];
};

static int set_up(void **state)
{
    static const struct secret_budget budget = {.amount = {[SECRET_PIN] = 4}};
    static struct place place;
    (void)snprintf(place.path, sizeof(place.path), "/tmp/p11-kms-pin.XXXXXX");
    assert_non_null(mkdtemp(place.path));
    assert_ok(secret_init(&budget));
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    secret_done();
    return rmdir(place->path);
}

static err_t read_with(const char *folder, const char *text, size_t *ret_len,
                       struct pin_source *ret_source)
{
    char path[96];
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    (void)snprintf(path, sizeof(path), "%s/pin", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    err_t err = pin_read(path, false, &pin, ret_source);
    *ret_len = failed(err) ? 0 : secret_view(pin).len;
    assert_int_equal(unlink(path), 0);
    return err;
}

static void test_read_cuts_one_line_end_and_no_more(void **state)
{
    const struct place *place = *state;
    struct pin_source source;
    size_t len = 0;
    assert_ok(read_with(place->path, "1234", &len, &source));
    assert_int_equal(len, 4);
    assert_ok(read_with(place->path, "1234\n", &len, &source));
    assert_int_equal(len, 4);
    assert_true(source.known);
    assert_fails(read_with(place->path, "1234\n\n", &len, &source), E_INVALID);
    assert_fails(read_with(place->path, "1234\r\n", &len, &source), E_INVALID);
    assert_fails(read_with(place->path, "\n", &len, &source), E_INVALID);
    assert_fails(read_with(place->path, "", &len, &source), E_INVALID);
}

/* As kubelet mounts a Secret: pin → ..data/pin → ..TIMESTAMP/pin, and open to a group. */
static void test_read_of_a_secret_mount_names_the_option(void **state)
{
    const struct place *place = *state;
    char path[96];
    char link[96];
    CLEANUP(secret_free_p) struct secret *pin = NULL;
    struct pin_source source;
    (void)snprintf(path, sizeof(path), "%s/real", place->path);
    (void)snprintf(link, sizeof(link), "%s/pin", place->path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(symlink(path, link), 0);
    err_t err = pin_read(link, false, &pin, &source);
    assert_non_null(strstr(err.what, "subPath"));
    assert_int_equal(chmod(path, 0440), 0);
    err = pin_read(path, false, &pin, &source);
    assert_non_null(strstr(err.what, "defaultMode: 0400"));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_that_a_pin_may_have),
        cmocka_unit_test(test_content_that_came_along_unseen_is_named),
        cmocka_unit_test_setup_teardown(test_read_cuts_one_line_end_and_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_of_a_secret_mount_names_the_option, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
