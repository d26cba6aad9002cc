/*
 * Listings and looks for one key, on a fake module. The table of keys lives as long as its process:
 * each test has a ring of its own, and what ends a process runs in a child.
 */
#include "pkcs11/list.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pkcs11/lost.h"
#include "tests/kit/fake_module.h"
#include "tests/kit/unit.h"

static struct session session;
static struct ipc_list ask;
static char label[64];
static struct fake_object *comes_back; /* at the next pause, under this handle */
static CK_OBJECT_HANDLE comes_back_as;
static unsigned pauses;

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

/* No test waits. */
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    (void)fds;
    (void)n;
    (void)timeout_ms;
    pauses++;
    if (comes_back != NULL) {
        comes_back->handle = comes_back_as;
    }
    return 0;
}

static int set_up(void **state)
{
    static unsigned n;
    (void)state;
    fake_module_reset();
    ask = (struct ipc_list){0};
    (void)snprintf(ask.ring, sizeof(ask.ring), "r%u", ++n);
    (void)snprintf(label, sizeof(label), "p11k:%s:00000001:00000001", ask.ring);
    comes_back = NULL;
    pauses = 0;
    session = (struct session){.module = &fake_module, .token = &fake_token};
    return failed(session_open(&session, false)) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    session_close(&session);
    return 0;
}

/* The one key that is listed. */
static struct ipc_key only_key(void)
{
    struct listing listing = {0};
    struct ipc_key key = {0};
    assert_ok(list_keys(&session, &ask, &listing));
    assert_int_equal(listing.n, 1);
    key = listing.keys[0];
    listing_free(&listing);
    return key;
}

static size_t listed(void)
{
    struct listing listing = {0};
    assert_ok(list_keys(&session, &ask, &listing));
    size_t n = listing.n;
    listing_free(&listing);
    return n;
}

static void test_list_ring_key_is_read_to_the_end(void **state)
{
    (void)state;
    struct fake_object *object = fake_module_key(label, 1);
    struct ipc_key key = only_key();
    assert_int_equal(key.state, IPC_KEY_READ);
    assert_int_equal(key.bad, 0);
    assert_string_equal(key.label, label);
    assert_string_equal(key.serial, fake_token.serial);
    assert_int_equal(key.ref.id_len, object->id_len);
    assert_memory_equal(key.ref.id, object->id, object->id_len);
    assert_int_equal(key.ref.fingerprint_len, 16);
}

static void test_list_known_key_is_not_read_to_the_end_again(void **state)
{
    (void)state;
    (void)fake_module_key(label, 1);
    struct ipc_key first = only_key();
    unsigned before = fake_module_count("C_Encrypt");
    struct ipc_key again = only_key();
    assert_int_equal(fake_module_count("C_Encrypt"), before);
    assert_memory_equal(&first.ref, &again.ref, sizeof(first.ref));
    ask.has_serving = 1;
    ask.serving = first.ref;
    (void)only_key();
    assert_int_equal(fake_module_count("C_Encrypt"), before + 2);
}

static void test_list_keys_of_others_are_given_on_request_only(void **state)
{
    (void)state;
    (void)fake_module_key("somebody else's", 1);
    (void)fake_module_key("p11k:other:00000001:00000001", 2);
    assert_int_equal(listed(), 0);
    ask.all = 1;
    assert_int_equal(listed(), 2);
}

static void test_list_key_that_is_not_what_it_must_be_is_given_as_bad(void **state)
{
    (void)state;
    struct fake_object *object = fake_module_key(label, 1);
    object->odd = CKA_EXTRACTABLE;
    assert_int_equal(only_key().bad, IPC_ATTR_EXTRACTABLE);
}

static void test_list_key_without_id_is_given_as_such(void **state)
{
    (void)state;
    struct fake_object *object = fake_module_key(label, 1);
    object->id_len = 0;
    assert_int_equal(only_key().state, IPC_KEY_NO_ID);
}

static void test_list_key_that_cannot_be_read_is_given_and_read_again(void **state)
{
    (void)state;
    (void)fake_module_key(label, 1);
    fake_module_order("C_EncryptInit rv 0x70\n");
    struct ipc_key key = only_key();
    assert_int_equal(key.state, IPC_KEY_UNREADABLE);
    assert_int_equal(key.rv, 0x70);
    fake_module_order(NULL);
    assert_int_equal(only_key().state, IPC_KEY_READ);
}

static void test_list_one_failure_of_any_function_is_passed_over(void **state)
{
    (void)state;
    static const char *const functions[] = {
        "C_FindObjectsInit", "C_FindObjects", "C_GetAttributeValue", "C_EncryptInit",
        "C_Encrypt",         "C_DecryptInit", "C_GetTokenInfo"};
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        char order[64];
        struct fake_object *object = fake_module_key(label, 1);
        (void)snprintf(order, sizeof(order), "%s rv 0x30 1\n", functions[i]);
        fake_module_order(order);
        struct ipc_key key = only_key();
        assert_int_equal(key.state, IPC_KEY_READ);
        assert_int_equal(key.bad, 0);
        object->handle = 0;
        assert_int_equal(set_up(NULL), 0); /* another ring */
    }
}

static void test_list_failure_that_lasts_gives_no_part(void **state)
{
    (void)state;
    struct listing listing = {0};
    (void)fake_module_key(label, 1);
    fake_module_order("C_FindObjects rv 0x30\n");
    assert_fails(list_keys(&session, &ask, &listing), E_TOKEN);
    assert_null(listing.keys);
}

static void test_list_key_back_at_the_second_look_was_never_gone(void **state)
{
    (void)state;
    struct fake_object *object = fake_module_key(label, 1);
    (void)only_key();
    comes_back = object;
    comes_back_as = object->handle;
    object->handle = 0;
    (void)only_key();
    assert_int_equal(pauses, 1);
}

/* As it ends in a child: the exit status. */
static int ends_with(void (*run)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void list_once(void)
{
    struct listing listing = {0};
    (void)!failed(list_keys(&session, &ask, &listing));
}

static void test_list_key_gone_ends_the_process(void **state)
{
    (void)state;
    struct fake_object *object = fake_module_key(label, 1);
    (void)only_key();
    object->handle = 0;
    assert_int_equal(ends_with(list_once), TOKEN_EXIT_LOST);
}

static void test_list_token_that_does_not_answer_ends_the_process(void **state)
{
    (void)state;
    (void)fake_module_key(label, 1);
    fake_module_order("C_GetTokenInfo rv 0xe0\n");
    assert_int_equal(ends_with(list_once), TOKEN_EXIT_LOST);
}

static struct ipc_key_ref wanted;

static void find_once(void)
{
    struct key key;
    (void)!failed(list_find(&session, &wanted, &key));
}

static void test_find_key_in_the_table_costs_no_call(void **state)
{
    (void)state;
    struct fake_object *object = fake_module_key(label, 1);
    struct key key;
    wanted = only_key().ref;
    unsigned before = fake_module_count("C_FindObjectsInit");
    assert_ok(list_find(&session, &wanted, &key));
    assert_int_equal(key.kek.handles[0], object->handle);
    assert_int_equal(fake_module_count("C_FindObjectsInit"), before);
}

static void test_find_key_whose_handle_is_no_good_is_looked_for_by_its_id(void **state)
{
    (void)state;
    struct fake_object *object = fake_module_key(label, 1);
    struct key key;
    wanted = only_key().ref;
    keys_drop_handle(object->handle);
    object->handle += 0x10000;
    assert_ok(list_find(&session, &wanted, &key));
    assert_int_equal(key.kek.handles[0], object->handle);
}

static void test_find_key_never_seen_is_not_found_at_once(void **state)
{
    (void)state;
    struct key key;
    (void)fake_module_key(label, 1);
    wanted = only_key().ref;
    wanted.id[0] ^= 1;
    assert_fails(list_find(&session, &wanted, &key), E_NOT_FOUND);
    assert_int_equal(pauses, 0);
}

static void test_find_same_id_and_another_value_is_not_the_key(void **state)
{
    (void)state;
    struct key key;
    (void)fake_module_key(label, 1);
    wanted = only_key().ref;
    wanted.fingerprint[0] ^= 1;
    assert_fails(list_find(&session, &wanted, &key), E_NOT_FOUND);
}

static void test_find_key_of_this_id_that_cannot_be_read_may_be_it(void **state)
{
    (void)state;
    struct key key;
    wanted = (struct ipc_key_ref){.id_len = 16, .fingerprint_len = 16};
    memset(wanted.id, 1, 16);
    (void)fake_module_key(label, 1);
    fake_module_order("C_EncryptInit rv 0x70\n");
    assert_fails(list_find(&session, &wanted, &key), E_TOKEN);
}

static void test_find_key_seen_and_gone_ends_the_process(void **state)
{
    (void)state;
    struct fake_object *object = fake_module_key(label, 1);
    wanted = only_key().ref;
    keys_drop_handle(object->handle);
    object->handle = 0;
    assert_int_equal(ends_with(find_once), TOKEN_EXIT_LOST);
}

#define LIST_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIST_TEST(test_list_ring_key_is_read_to_the_end),
        LIST_TEST(test_list_known_key_is_not_read_to_the_end_again),
        LIST_TEST(test_list_keys_of_others_are_given_on_request_only),
        LIST_TEST(test_list_key_that_is_not_what_it_must_be_is_given_as_bad),
        LIST_TEST(test_list_key_without_id_is_given_as_such),
        LIST_TEST(test_list_key_that_cannot_be_read_is_given_and_read_again),
        LIST_TEST(test_list_one_failure_of_any_function_is_passed_over),
        LIST_TEST(test_list_failure_that_lasts_gives_no_part),
        LIST_TEST(test_list_key_back_at_the_second_look_was_never_gone),
        LIST_TEST(test_list_key_gone_ends_the_process),
        LIST_TEST(test_list_token_that_does_not_answer_ends_the_process),
        LIST_TEST(test_find_key_in_the_table_costs_no_call),
        LIST_TEST(test_find_key_whose_handle_is_no_good_is_looked_for_by_its_id),
        LIST_TEST(test_find_key_never_seen_is_not_found_at_once),
        LIST_TEST(test_find_same_id_and_another_value_is_not_the_key),
        LIST_TEST(test_find_key_of_this_id_that_cannot_be_read_may_be_it),
        LIST_TEST(test_find_key_seen_and_gone_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
