/* ring_keys, refused, unread and directory: from what the token lists to the rotation. */
#include <stdio.h>
#include <string.h>

#include "keys/key_id.h"
#include "server/kms/directory.h"
#include "server/kms/refused.h"
#include "server/kms/ring_keys.h"
#include "server/kms/unread.h"
#include "tests/kit/unit.h"
#include "tests/unit/token/listing_cases.h"

static struct ipc_key key_with(uint32_t bad, uint32_t not_reported)
{
    struct ipc_key key = {.ref = {.id_len = 16, .fingerprint_len = 16, .scheme = ENVELOPE_AES_GCM},
                          .state = IPC_KEY_READ,
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

static size_t ring_of(const struct config *config, const struct ipc_key *keys, size_t n,
                      struct refused *refused, struct ring_key *ret_keys)
{
    const struct client_reply reply = {.keys = keys, .keys_n = n};
    return ring_keys_of(config, 0, &reply, refused, ret_keys);
}

/* The same table holds ctl/ring_view: what is done here is what is shown there. */
static void test_ring_keys_every_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < listing_cases_n; i++) {
        const struct listing_case *row = &listing_cases[i];
        struct config config = listing_case_config(row);
        static struct refused refused;
        struct ring_key keys[ROTATION_KEYS_MAX];
        bool in_ring = row->place == LISTING_IN_RING;
        print_message("%s\n", row->name);
        size_t n = ring_of(&config, &row->key, 1, &refused, keys);
        assert_int_equal(n, in_ring || row->place == LISTING_UNNAMED ? 1 : 0);
        if (in_ring) {
            assert_int_equal(keys[0].verdict, row->verdict);
            assert_int_equal(keys[0].not_before, LISTING_CASE_NOT_BEFORE);
            assert_int_equal(ring_has_id(&keys[0]), row->has_id);
        } else if (n == 1) {
            assert_true(ring_unnamed(&keys[0]));
        }
        bool bad = in_ring && row->verdict == RING_BAD;
        assert_int_equal(refused.text[0] != '\0', bad);
        assert_true(!bad || strstr(refused.text, row->faults) != NULL);
    }
}

/* Adopted again it gets another key_id, and is one key to the token. */
static void test_ring_keys_of_one_key_are_as_many_as_its_activations(void **state)
{
    (void)state;
    static struct refused refused;
    static struct directory directory;
    struct config config = {.ring = "prod"};
    struct ipc_key keys[] = {key_with(0, 0), key_with(0, 0)};
    struct ring_key ring[ROTATION_KEYS_MAX];
    struct ring_choice choice;
    keys[1].activation.not_before = keys[1].activation.created = 0x100;
    assert_int_equal(ring_of(&config, keys, 2, &refused, ring), 2);
    assert_memory_equal(ring[0].kek_id, ring[1].kek_id, KEK_ID_LEN);
    assert_false(ring_same(&ring[0], &ring[1]));
    ring_choose(ring, 2, 0xff, &choice);
    assert_ptr_equal(choice.selected, &ring[0]);
    ring_choose(ring, 2, 0x100, &choice);
    assert_ptr_equal(choice.selected, &ring[1]);
    directory_take(&directory, keys, 2);
    assert_int_equal(directory.n, 1);
}

static void test_ring_keys_past_the_limit_are_left_out(void **state)
{
    (void)state;
    static struct ipc_key keys[ROTATION_KEYS_MAX + 2];
    static struct refused refused;
    struct ring_key ring[ROTATION_KEYS_MAX];
    struct config config = {.ring = "prod"};
    for (size_t i = 1; i < ROTATION_KEYS_MAX + 2; i++) { /* the first is of nobody */
        keys[i] = key_with(0, 0);
    }
    assert_int_equal(ring_of(&config, keys, ROTATION_KEYS_MAX, &refused, ring),
                     ROTATION_KEYS_MAX - 1);
    assert_int_equal(ring_of(&config, keys, ROTATION_KEYS_MAX + 2, &refused, ring),
                     ROTATION_KEYS_MAX);
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

static struct listing_key refused_key(uint32_t not_before, uint8_t id)
{
    return (struct listing_key){.place = LISTING_IN_RING,
                                .faults = IPC_ATTR_LOCAL,
                                .ring = {.not_before = not_before,
                                         .kek_id = {id},
                                         .verdict = RING_BAD}};
}

static void test_refused_names_the_best_ranking_key(void **state)
{
    (void)state;
    static struct refused refused;
    struct ipc_key key = key_with(IPC_ATTR_LOCAL, 0);
    struct listing_key older = refused_key(5, 1);
    struct listing_key newer = refused_key(6, 2);
    refused_begin(&refused);
    refused_take(&refused, &key, &older);
    refused_take(&refused, &key, &newer);
    refused_take(&refused, &key, &older);
    assert_string_equal(refused.text, "KEK 02000000000000000000000000000000 (CKA_LOCAL)");
    refused_begin(&refused);
    assert_string_equal(refused.text, "");
}

/* It has no other name, and an operator must find it. */
static void test_refused_without_an_id_is_named_by_its_label(void **state)
{
    (void)state;
    static struct refused refused;
    struct ipc_key key = key_with(0, 0);
    struct listing_key judged = refused_key(5, 0);
    key.state = IPC_KEY_NO_ID;
    refused_begin(&refused);
    refused_take(&refused, &key, &judged);
    assert_string_equal(
        refused.text,
        "KEK p11k:prod:00000010:00000008 (CKA_ID is empty or longer than 64 bytes)");
    assert_int_equal(refused.said_n, 0);
    assert_int_equal(refused.nameless_n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_keys_every_case),
        cmocka_unit_test(test_ring_keys_of_one_key_are_as_many_as_its_activations),
        cmocka_unit_test(test_ring_keys_past_the_limit_are_left_out),
        cmocka_unit_test(test_unread_tells_keys_of_the_ring_from_others),
        cmocka_unit_test(test_directory_finds_what_it_took),
        cmocka_unit_test(test_directory_past_the_limit_forgets_the_first),
        cmocka_unit_test(test_refused_names_the_best_ranking_key),
        cmocka_unit_test(test_refused_without_an_id_is_named_by_its_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
