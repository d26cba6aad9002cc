#include "token/listing.h"

#include "keys/key_id.h"
#include "tests/kit/unit.h"
#include "tests/unit/token/listing_cases.h"

static void test_judge_every_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < listing_cases_n; i++) {
        const struct listing_case *row = &listing_cases[i];
        struct config config = listing_case_config(row);
        struct listing_key judged;
        char faults[200];
        print_message("%s\n", row->name);
        listing_judge(&row->key, "prod", &config.tokens[0], &judged);
        listing_faults(&row->key, faults, sizeof(faults));
        assert_int_equal(judged.place, row->place);
        assert_int_equal(judged.waived, row->waived);
        assert_int_equal(ring_has_id(&judged.ring), row->has_id);
        assert_string_equal(faults, row->faults == NULL ? "" : row->faults);
        bool dated = row->place == LISTING_IN_RING;
        assert_int_equal(judged.ring.verdict, dated ? row->verdict : RING_UNKNOWN);
        assert_int_equal(judged.ring.not_before, dated ? LISTING_CASE_NOT_BEFORE : 0);
        assert_int_equal(judged.ring.created, dated ? LISTING_CASE_CREATED : 0);
    }
}

static struct ipc_key key_with(uint32_t bad, uint32_t not_reported)
{
    return (struct ipc_key){
        .ref = {.id_len = 16,
                .fingerprint_len = 16,
                .id = {1},
                .fingerprint = {2},
                .scheme = ENVELOPE_AES_GCM},
        .bad = bad,
        .not_reported = not_reported,
        .activation = {.by = IPC_BY_LABEL, .not_before = 2, .created = 1, .ring = "prod"}};
}

static void test_judge_every_attribute_but_modifiable_counts(void **state)
{
    (void)state;
    static const struct config_token token;
    for (uint32_t bit = 1; bit <= IPC_ATTR_MODIFIABLE; bit <<= 1) {
        const struct ipc_key keys[] = {key_with(bit, 0), key_with(0, bit)};
        for (size_t i = 0; i < 2; i++) {
            struct listing_key judged;
            listing_judge(&keys[i], "prod", &token, &judged);
            bool fault = bit != IPC_ATTR_MODIFIABLE;
            assert_int_equal(judged.ring.verdict, fault ? RING_BAD : RING_GOOD);
            assert_int_equal(judged.faults, fault ? bit : 0);
        }
    }
}

static void test_judge_unnamed_key_may_be_any(void **state)
{
    (void)state;
    static const struct config_token token;
    const struct ipc_key key = {.state = IPC_KEY_UNREADABLE};
    struct listing_key judged;
    listing_judge(&key, "prod", &token, &judged);
    assert_true(ring_unnamed(&judged.ring));
}

static void test_kek_id_is_of_cka_id_and_fingerprint(void **state)
{
    (void)state;
    struct ipc_key key = key_with(0, 0);
    uint8_t wanted[KEK_ID_LEN];
    uint8_t kek_id[KEK_ID_LEN];
    assert_ok(key_id_kek(ENVELOPE_AES_GCM, span_of(key.ref.id, 16),
                         span_of(key.ref.fingerprint, 16), wanted));
    assert_ok(listing_kek_id(&key, kek_id));
    assert_memory_equal(kek_id, wanted, KEK_ID_LEN);
    key.ref.fingerprint_len = 0;
    assert_fails(listing_kek_id(&key, kek_id), E_INVALID);
    key = key_with(0, 0);
    key.ref.id_len = 0;
    assert_fails(listing_kek_id(&key, kek_id), E_INVALID);
    key = key_with(0, 0);
    key.state = IPC_KEY_NO_ID;
    assert_fails(listing_kek_id(&key, kek_id), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge_every_case),
        cmocka_unit_test(test_judge_every_attribute_but_modifiable_counts),
        cmocka_unit_test(test_judge_unnamed_key_may_be_any),
        cmocka_unit_test(test_kek_id_is_of_cka_id_and_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
