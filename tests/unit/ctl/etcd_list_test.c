#include "ctl/etcd_list.h"

#include <string.h>

#include "ctl/output.h"
#include "tests/kit/unit.h"

static void test_parse_takes_what_etcdctl_prints(void **state)
{
    (void)state;
    static const char text[] =
        "{\"header\":{\"cluster_id\":14841639068965178418,\"member_id\":10276657743932975437},"
        "\"kvs\":[{\"key\":\"L2E=\",\"create_revision\":5,\"value\":\"eHl6\"},{\"key\":\"L2I=\"}],"
        "\"count\":2}\n";
    OWN_JSON *list = NULL;
    CLEANUP(etcd_item_done) struct etcd_item item = {0};
    assert_ok(etcd_list_parse(span_of_text(text), &list));
    assert_int_equal(json_array_size(list), 2);
    assert_ok(etcd_list_item(list, 0, &item));
    assert_true(span_equal(item.key, span_of_text("/a")));
    assert_true(span_equal(item.value, span_of_text("xyz")));
    etcd_item_done(&item);
    assert_ok(etcd_list_item(list, 1, &item));
    assert_true(span_equal(item.key, span_of_text("/b")));
    assert_int_equal(item.value.len, 0);
}

static void test_parse_nothing_found_is_an_empty_list(void **state)
{
    (void)state;
    OWN_JSON *list = NULL;
    assert_ok(etcd_list_parse(span_of_text("{\"header\":{\"revision\":9}}"), &list));
    assert_int_equal(json_array_size(list), 0);
}

static void test_parse_other_json_is_not_found(void **state)
{
    (void)state;
    static const char *const other[] = {"",           "{", "[]", "{}", "{\"kind\":\"Secret\"}",
                                        "{\"kvs\":7}"};
    json_t *list = NULL;
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        assert_fails(etcd_list_parse(span_of_text(other[i]), &list), E_NOT_FOUND);
    }
    assert_null(list);
}

static void test_item_that_is_no_base64_is_refused(void **state)
{
    (void)state;
    OWN_JSON *list = NULL;
    struct etcd_item item = {0};
    assert_ok(etcd_list_parse(
        span_of_text("{\"kvs\":[{\"key\":\"L2E=\",\"value\":\"*\"},{\"key\":7},9]}"), &list));
    assert_fails(etcd_list_item(list, 0, &item), E_INVALID);
    assert_ok(etcd_list_item(list, 1, &item)); /* as if it had none */
    assert_int_equal(item.key.len, 0);
    etcd_item_done(&item);
    assert_ok(etcd_list_item(list, 2, &item));
    etcd_item_done(&item);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_takes_what_etcdctl_prints),
        cmocka_unit_test(test_parse_nothing_found_is_an_empty_list),
        cmocka_unit_test(test_parse_other_json_is_not_found),
        cmocka_unit_test(test_item_that_is_no_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
