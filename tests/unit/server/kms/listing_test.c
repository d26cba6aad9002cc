/* listing, directory and refused: from what the token lists to what the ring believes. */
#include <stdio.h>
#include <string.h>

#include "keys/key_id.h"
#include "server/kms/directory.h"
#include "server/kms/listing.h"
#include "server/kms/refused.h"
#include "server/kms/unread.h"
#include "tests/kit/unit.h"

static struct config config = {.ring = "prod"};

static struct ipc_key key_with(uint32_t bad, uint32_t not_reported)
{
    struct ipc_key key = {.ref = {.id_len = 16, .fingerprint_len = 16},
                          .state = IPC_KEY_READ,
                          .scheme = ENVELOPE_AES_GCM,
                          .bad = bad,
                          .not_reported = not_reported,
                          .activation = {.by = IPC_BY_LABEL,
                                         .not_before = 0x10,
                                         .created = 8,
                                         .ring = "prod"},
                          .label = "p11k:prod:00000010:00000008"};
    key.ref.id[0] = 1;
    return key;
}

static enum ring_verdict verdict_of(const struct ipc_key *key)
{
    struct ring_key ring_key;
    assert_ok(listing_ring_key(key, &config, &ring_key));
    return ring_key.verdict;
}

static void test_ring_key_takes_dates_and_name(void **state)
{
    (void)state;
    struct ipc_key key = key_with(0, 0);
    struct ring_key ring_key;
    uint8_t kek_id[KEK_ID_LEN];
    assert_ok(key_id_kek(ENVELOPE_AES_GCM, span_of(key.ref.id, 16),
                         span_of(key.ref.fingerprint, 16), kek_id));
    assert_ok(listing_ring_key(&key, &config, &ring_key));
    assert_int_equal(ring_key.not_before, 0x10);
    assert_int_equal(ring_key.created, 8);
    assert_memory_equal(ring_key.kek_id, kek_id, KEK_ID_LEN);
    assert_int_equal(ring_key.verdict, RING_GOOD);
}

static void test_ring_key_every_attribute_but_modifiable_counts(void **state)
{
    (void)state;
    for (uint32_t bit = 1; bit <= IPC_ATTR_MODIFIABLE; bit <<= 1) {
        enum ring_verdict expected = bit == IPC_ATTR_MODIFIABLE ? RING_GOOD : RING_BAD;
        struct ipc_key bad = key_with(bit, 0);
        struct ipc_key unknown = key_with(0, bit);
        assert_int_equal(verdict_of(&bad), expected);
        assert_int_equal(verdict_of(&unknown), expected);
    }
}

static void test_ring_key_waived_is_good_but_for_its_cryptography(void **state)
{
    (void)state;
    struct ipc_key key =
        key_with(IPC_ATTR_LOCAL | IPC_ATTR_EXTRACTABLE, IPC_ATTR_NEVER_EXTRACTABLE);
    assert_ok(listing_kek_id(&key, config.tokens[0].waive[0].kek_id));
    config.tokens[0].waive_n = 1;
    assert_int_equal(verdict_of(&key), RING_GOOD);
    key.bad |= IPC_ATTR_AAD;
    assert_int_equal(verdict_of(&key), RING_BAD);
    config.tokens[0].waive_n = 0;
}

static void test_ring_key_unreadable_is_unknown(void **state)
{
    (void)state;
    struct ipc_key key = key_with(0, 0);
    key.state = IPC_KEY_UNREADABLE;
    assert_int_equal(verdict_of(&key), RING_UNKNOWN);
    key.ref.fingerprint_len = 0;
    assert_int_equal(verdict_of(&key), RING_UNKNOWN);
}

static void test_ring_key_without_a_readable_name_may_be_any(void **state)
{
    (void)state;
    const struct ipc_key unnamed = {.state = IPC_KEY_UNREADABLE};
    const struct ipc_key empty = {.state = IPC_KEY_NO_ID};
    struct ring_key ring_key;
    assert_ok(listing_ring_key(&unnamed, &config, &ring_key));
    assert_true(ring_unnamed(&ring_key));
    assert_fails(listing_ring_key(&empty, &config, &ring_key), E_NOT_FOUND);
}

static void test_unread_tells_keys_of_the_ring_from_others(void **state)
{
    (void)state;
    struct unread unread = {0};
    struct ipc_key keys[] = {key_with(0, 0), key_with(0, 0)};
    keys[0].state = IPC_KEY_UNREADABLE;
    keys[0].activation = (struct ipc_activation){0};
    (void)snprintf(keys[0].label, sizeof(keys[0].label), "somebody else's");
    unread_take(&unread, keys, 2, "prod", true);
    assert_true(unread.any);
    assert_string_equal(unread.text, "");
    keys[1].state = IPC_KEY_UNREADABLE;
    keys[1].rv = 0x30;
    unread_take(&unread, keys, 2, "prod", false);
    assert_string_equal(unread.text, "p11k:prod:00000010:00000008 (CK_RV 0x30)");
    keys[0] = keys[1] = key_with(0, 0);
    unread_take(&unread, keys, 2, "prod", false);
    assert_string_equal(unread.text, "");
    assert_true(unread.any); /* the keys of others were not looked at */
    unread_take(&unread, keys, 2, "prod", true);
    assert_false(unread.any);
}

static void test_ring_key_of_no_id_or_broken_label_is_refused(void **state)
{
    (void)state;
    struct ring_key ring_key;
    struct ipc_key key = key_with(0, 0);
    key.state = IPC_KEY_NO_ID;
    key.ref.id_len = 0;
    assert_fails(listing_ring_key(&key, &config, &ring_key), E_INVALID);
    key = key_with(0, 0);
    key.activation = (struct ipc_activation){.by = IPC_BY_BROKEN_LABEL, .ring = "prod"};
    assert_fails(listing_ring_key(&key, &config, &ring_key), E_INVALID);
    (void)snprintf(key.activation.ring, sizeof(key.activation.ring), "other");
    assert_fails(listing_ring_key(&key, &config, &ring_key), E_NOT_FOUND);
}

static void test_directory_finds_what_it_took(void **state)
{
    (void)state;
    static struct directory directory;
    struct ipc_key keys[2] = {key_with(0, 0), key_with(0, 0)};
    uint8_t kek_id[KEK_ID_LEN];
    keys[1].ref.id[0] = 2;
    assert_ok(listing_kek_id(&keys[1], kek_id));
    assert_null(directory_find(&directory, kek_id));
    directory_take(&directory, keys, 2);
    directory_take(&directory, keys, 2);
    assert_int_equal(directory.n, 2);
    assert_int_equal(directory_find(&directory, kek_id)->id[0], 2);
}

static void test_directory_past_the_limit_forgets_the_first(void **state)
{
    (void)state;
    static struct directory directory;
    uint8_t first[KEK_ID_LEN];
    uint8_t last[KEK_ID_LEN];
    for (unsigned i = 0; i <= DIRECTORY_MAX; i++) {
        struct ipc_key key = key_with(0, 0);
        key.ref.id[0] = (uint8_t)i;
        key.ref.id[1] = (uint8_t)(i >> 8);
        assert_ok(listing_kek_id(&key, i == 0 ? first : last));
        directory_take(&directory, &key, 1);
    }
    assert_int_equal(directory.n, DIRECTORY_MAX);
    assert_null(directory_find(&directory, first));
    assert_non_null(directory_find(&directory, last));
}

static void test_refused_names_the_best_ranking_key(void **state)
{
    (void)state;
    static struct refused refused;
    struct ipc_key key = key_with(IPC_ATTR_LOCAL, 0);
    struct ring_key older = {.not_before = 5, .kek_id = {1}};
    struct ring_key newer = {.not_before = 6, .kek_id = {2}};
    refused_begin(&refused);
    refused_take(&refused, &key, &older);
    refused_take(&refused, &key, &newer);
    refused_take(&refused, &key, &older);
    assert_string_equal(refused.text, "KEK 02000000000000000000000000000000 (CKA_LOCAL)");
    refused_begin(&refused);
    assert_string_equal(refused.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_key_takes_dates_and_name),
        cmocka_unit_test(test_ring_key_every_attribute_but_modifiable_counts),
        cmocka_unit_test(test_ring_key_waived_is_good_but_for_its_cryptography),
        cmocka_unit_test(test_ring_key_unreadable_is_unknown),
        cmocka_unit_test(test_ring_key_without_a_readable_name_may_be_any),
        cmocka_unit_test(test_unread_tells_keys_of_the_ring_from_others),
        cmocka_unit_test(test_ring_key_of_no_id_or_broken_label_is_refused),
        cmocka_unit_test(test_directory_finds_what_it_took),
        cmocka_unit_test(test_directory_past_the_limit_forgets_the_first),
        cmocka_unit_test(test_refused_names_the_best_ranking_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
