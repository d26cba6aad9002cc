#include "ctl/ring_view.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/unit.h"
#include "tests/unit/token/listing_cases.h"

#define NOW_S 1700000000u

static struct config config = {.ring = "test"};
static struct ipc_key keys[4];
static struct ring_view view;

/* Key i: id and fingerprint of its own. */
static void set(size_t i, uint32_t not_before, uint32_t created, uint32_t bad)
{
    keys[i] = (struct ipc_key){
        .ref = {.id_len = 1, .fingerprint_len = 16, .scheme = ENVELOPE_AES_GCM}, .bad = bad};
    keys[i].ref.id[0] = (uint8_t)(i + 1);
    keys[i].activation = (struct ipc_activation){
        .by = IPC_BY_LABEL, .not_before = not_before, .created = created, .ring = "test"};
    (void)snprintf(keys[i].label, sizeof(keys[i].label), "p11k:test:%08x:%08x", not_before,
                   created);
}

static void look(size_t n)
{
    ring_view_done(&view);
    assert_ok(ring_view_new(&config, keys, n, NOW_S, &view));
}

static const char *state_of(uint8_t id)
{
    static char text[RING_VIEW_STATE];
    for (size_t i = 0; i < view.n; i++) {
        if (view.rows[i].key.ref.id[0] == id) {
            ring_view_state(&view, i, text);
            return text;
        }
    }
    return "absent";
}

static int teardown(void **state)
{
    (void)state;
    ring_view_done(&view);
    config.tokens[0].waive_n = 0;
    return 0;
}

static void test_state_of_each_place_in_the_ring(void **state)
{
    (void)state;
    set(0, NOW_S - 100, NOW_S - 100, 0);
    set(1, NOW_S - 10, NOW_S - 20, 0);
    set(2, NOW_S - 10, NOW_S - 15, 0);
    set(3, NOW_S + 300, NOW_S, 0);
    look(4);
    assert_string_equal(state_of(1), "decrypt-only");
    assert_string_equal(state_of(2), "spare");
    assert_string_equal(state_of(3), "active");
    assert_string_equal(state_of(4), "staged");
    assert_int_equal(view.rows[0].key.ref.id[0], 4); /* best first */
    assert_true(ring_view_staged(&view, 0));
    assert_false(ring_view_staged(&view, 1));
}

static void test_state_staged_before_an_emergency_is_superseded(void **state)
{
    (void)state;
    set(0, NOW_S + 240, NOW_S - 60, 0);
    set(1, NOW_S, NOW_S, 0);
    look(2);
    assert_string_equal(state_of(1), "superseded");
    assert_string_equal(state_of(2), "active");
    assert_false(ring_view_staged(&view, 1));
}

static void test_state_of_keys_that_the_rule_ignores(void **state)
{
    (void)state;
    set(0, NOW_S + RING_HORIZON_S + 1, NOW_S, 0);
    set(1, NOW_S - 10, NOW_S - 5, 0);
    look(2);
    assert_string_equal(state_of(1), "ignored: beyond the horizon of 32 days");
    assert_string_equal(state_of(2), "ignored: created after its not-before");
    assert_null(view.choice.selected);
}

/* It may be of this ring, and outrank what is active. */
static void test_key_without_a_readable_name_is_counted_and_ranks_above(void **state)
{
    (void)state;
    set(0, NOW_S - 100, NOW_S - 100, 0);
    keys[1] = (struct ipc_key){.state = IPC_KEY_UNREADABLE};
    keys[2] = (struct ipc_key){.state = IPC_KEY_NO_ID};
    look(1);
    assert_false(view.choice.unknown_above);
    look(3);
    assert_int_equal(view.n, 1);
    assert_int_equal(view.unnamed, 1);
    assert_true(view.choice.unknown_above);
}

static void test_state_refused_names_every_attribute(void **state)
{
    (void)state;
    set(0, NOW_S, NOW_S, IPC_ATTR_EXTRACTABLE | IPC_ATTR_SENSITIVE | IPC_ATTR_MODIFIABLE);
    look(1);
    assert_string_equal(state_of(1), "refused: CKA_SENSITIVE, CKA_EXTRACTABLE");
    set(0, NOW_S, NOW_S, 0xffff);
    look(1);
    assert_non_null(strstr(state_of(1), "AES-256 key value"));
    assert_null(strstr(state_of(1), "CKA_MODIFIABLE"));
}

static void test_state_modifiable_alone_is_no_fault(void **state)
{
    (void)state;
    set(0, NOW_S, NOW_S, IPC_ATTR_MODIFIABLE);
    look(1);
    assert_string_equal(state_of(1), "active");
}

static void test_state_waived_key_may_seal(void **state)
{
    (void)state;
    set(0, NOW_S, NOW_S, IPC_ATTR_LOCAL);
    look(1);
    span_move(config.tokens[0].waive[0].kek_id, view.ring[0].kek_id, KEK_ID_LEN);
    config.tokens[0].waive_n = 1;
    look(1);
    assert_string_equal(state_of(1), "active (waived)");
}

static void test_state_unreadable_and_without_id(void **state)
{
    (void)state;
    set(0, NOW_S, NOW_S, 0);
    set(1, NOW_S, NOW_S, 0);
    keys[0].state = IPC_KEY_UNREADABLE;
    keys[0].ref.fingerprint_len = 0;
    keys[0].rv = 0x30;
    keys[1].state = IPC_KEY_NO_ID;
    look(2);
    assert_string_equal(state_of(1), "unreadable: CK_RV 0x30");
    keys[0].ref.fingerprint_len = 16; /* read, and then an attribute was not */
    look(2);
    assert_string_equal(state_of(1), "unreadable: CK_RV 0x30");
    assert_string_equal(state_of(2), "refused: CKA_ID is empty or longer than 64 bytes");
}

static void test_new_takes_only_this_ring_and_counts_broken_labels(void **state)
{
    (void)state;
    set(0, NOW_S, NOW_S, 0);
    set(1, NOW_S, NOW_S, 0);
    set(2, NOW_S, NOW_S, 0);
    (void)snprintf(keys[1].activation.ring, sizeof(keys[1].activation.ring), "other");
    keys[2].activation = (struct ipc_activation){.by = IPC_BY_BROKEN_LABEL, .ring = "test"};
    look(3);
    assert_int_equal(view.n, 1);
    assert_int_equal(view.broken_labels, 1);
}

/* The same table holds the daemon: what is shown here is what is done there. */
static void test_view_every_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < listing_cases_n; i++) {
        const struct listing_case *row = &listing_cases[i];
        struct config prod = listing_case_config(row);
        char text[RING_VIEW_STATE];
        bool in_ring = row->place == LISTING_IN_RING;
        print_message("%s\n", row->name);
        ring_view_done(&view);
        assert_ok(ring_view_new(&prod, &row->key, 1, NOW_S, &view));
        assert_int_equal(view.n, in_ring);
        assert_int_equal(view.broken_labels, row->place == LISTING_BROKEN);
        assert_int_equal(view.unnamed, row->place == LISTING_UNNAMED);
        if (!in_ring) {
            continue;
        }
        assert_int_equal(view.ring[0].verdict, row->verdict);
        assert_int_equal(view.ring[0].not_before, LISTING_CASE_NOT_BEFORE);
        assert_int_equal(view.rows[0].waived, row->waived);
        ring_view_key_id(&view.rows[0], text);
        assert_int_equal(text[0] != '\0', row->has_id);
        ring_view_state(&view, 0, text);
        bool bad = row->verdict == RING_BAD;
        assert_int_equal(strncmp(text, "refused: ", 9) == 0, bad);
        assert_true(!bad || strstr(text, row->faults) != NULL);
    }
}

/* Its name is made of its fingerprint: zeros would be the name of another key. */
static void test_key_id_of_an_unread_key_is_none(void **state)
{
    (void)state;
    char key_id[KEY_ID_TEXT_LEN + 1];
    char name[RING_VIEW_NAME];
    set(0, NOW_S, NOW_S, 0);
    look(1);
    ring_view_key_id(&view.rows[0], key_id);
    assert_int_equal(strlen(key_id), KEY_ID_TEXT_LEN);
    ring_view_name(&view.rows[0], name);
    assert_string_equal(name, key_id);
    keys[0].state = IPC_KEY_UNREADABLE;
    keys[0].ref.fingerprint_len = 0;
    look(1);
    ring_view_key_id(&view.rows[0], key_id);
    assert_string_equal(key_id, "");
    ring_view_name(&view.rows[0], name);
    assert_string_equal(name, keys[0].label);
}

#define CLEAN(test_) cmocka_unit_test_teardown(test_, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLEAN(test_state_of_each_place_in_the_ring),
        CLEAN(test_state_staged_before_an_emergency_is_superseded),
        CLEAN(test_state_of_keys_that_the_rule_ignores),
        CLEAN(test_key_without_a_readable_name_is_counted_and_ranks_above),
        CLEAN(test_state_refused_names_every_attribute),
        CLEAN(test_state_modifiable_alone_is_no_fault),
        CLEAN(test_state_waived_key_may_seal),
        CLEAN(test_state_unreadable_and_without_id),
        CLEAN(test_new_takes_only_this_ring_and_counts_broken_labels),
        CLEAN(test_view_every_case),
        CLEAN(test_key_id_of_an_unread_key_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
