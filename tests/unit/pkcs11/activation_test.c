#include "pkcs11/activation.h"

#include "tests/kit/unit.h"

static void test_of_label_whole_broken_and_foreign(void **state)
{
    (void)state;
    struct ipc_activation whole = activation_of_label("p11k:cluster-1:00000020:00000010");
    assert_int_equal(whole.by, IPC_BY_LABEL);
    assert_string_equal(whole.ring, "cluster-1");
    assert_int_equal(whole.not_before, 0x20);
    assert_int_equal(whole.created, 0x10);
    struct ipc_activation broken = activation_of_label("p11k:prod:00000020");
    assert_int_equal(broken.by, IPC_BY_BROKEN_LABEL);
    assert_string_equal(broken.ring, "prod");
    assert_int_equal(broken.not_before | broken.created, 0);
    struct ipc_activation foreign = activation_of_label("somebody else's");
    assert_int_equal(foreign.by, IPC_BY_NOTHING);
    assert_string_equal(foreign.ring, "");
}

/* A listing takes broken ones too: their owner must hear of them. */
static void test_of_ring_goes_by_the_name_alone(void **state)
{
    (void)state;
    struct ipc_key key = {.activation = activation_of_label("p11k:prod:junk")};
    assert_true(ipc_key_of_ring(&key, "prod"));
    assert_false(ipc_key_of_ring(&key, "pro"));
    key.activation = activation_of_label("p11k:prod-2:00000020:00000010");
    assert_false(ipc_key_of_ring(&key, "prod"));
    key.activation = activation_of_label("");
    assert_false(ipc_key_of_ring(&key, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_label_whole_broken_and_foreign),
        cmocka_unit_test(test_of_ring_goes_by_the_name_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
