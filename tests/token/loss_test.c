/* Token, module and keys that come late, go, come back or are not what they were. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pkcs11/key.h"
#include "pkcs11/lost.h"
#include "tests/kit/unit.h"
#include "tests/token/rig.h"

static const uint8_t seed[32] = "0123456789abcdef0123456789abcde";

static void move(struct token_rig *rig, const char *from, const char *to)
{
    char old[256];
    char new[256];
    rig_path(rig, from, old, sizeof(old));
    rig_path(rig, to, new, sizeof(new));
    assert_int_equal(rename(old, new), 0);
}

static void take_token_away(struct token_rig *rig)
{
    char path[256];
    move(rig, "token/tokens", "token/away");
    rig_path(rig, "token/tokens", path, sizeof(path));
    rig_run((const char *const[]){"mkdir", "-m", "700", path, NULL}, NULL);
}

static void bring_token_back(struct token_rig *rig)
{
    char path[256];
    rig_path(rig, "token/tokens", path, sizeof(path));
    assert_int_equal(rmdir(path), 0);
    move(rig, "token/away", "token/tokens");
}

/* pkcs11-tool on the rig's token, with the PIN from the environment of that one process. */
static int try_tool(struct token_rig *rig, const char *const *more)
{
    const char *argv[24] = {"pkcs11-tool", "--module", SOFTHSM_MODULE, "--token-label",
                            "p11-kms-test", "--login", "--pin", "env:RIG_PIN"};
    size_t n = 8;
    char pin[80] = "RIG_PIN=";
    rig_read(rig, "token/pin", pin + 8, sizeof(pin) - 8);
    pin[strcspn(pin, "\n")] = '\0';
    while (*more != NULL) {
        argv[n++] = *more++;
    }
    return rig_try(argv, (const char *const[]){rig->config.tokens[0].env[0], pin, NULL});
}

static void tool(struct token_rig *rig, const char *const *more)
{
    assert_int_equal(try_tool(rig, more), 0);
}

static void test_token_late_is_found_by_itself(void **state)
{
    struct token_rig *rig = *state;
    take_token_away(rig);
    rig_start(rig);
    struct ipc_status status = rig_wait_phase(rig, IPC_PHASE_NO_TOKEN, 10000);
    assert_non_null(strstr(status.text, "none"));
    bring_token_back(rig);
    (void)rig_wait_phase(rig, IPC_PHASE_READY, 10000);
}

static void test_module_late_is_loaded_by_itself(void **state)
{
    struct token_rig *rig = *state;
    char path[256];
    rig_path(rig, "late.so", path, sizeof(path));
    (void)snprintf(rig->config.tokens[0].module, CONFIG_PATH_LEN, "%s", path);
    rig_start(rig);
    (void)rig_wait_phase(rig, IPC_PHASE_NO_MODULE, 10000);
    assert_int_equal(symlink(SHIM_MODULE, path), 0);
    (void)rig_wait_phase(rig, IPC_PHASE_READY, 10000);
}

static void test_token_other_than_the_uri_says_is_not_used(void **state)
{
    struct token_rig *rig = *state;
    (void)snprintf(rig->config.tokens[0].uri, CONFIG_TEXT_LEN, "pkcs11:token=other");
    rig_start(rig);
    struct ipc_status status = rig_wait_phase(rig, IPC_PHASE_NO_TOKEN, 10000);
    assert_non_null(strstr(status.text, "p11-kms-test"));
    assert_int_equal(rig_shim_count(rig, "C_Login"), 0);
}

static void test_uri_with_a_pin_is_a_config_fault(void **state)
{
    struct token_rig *rig = *state;
    (void)snprintf(rig->config.tokens[0].uri, CONFIG_TEXT_LEN, "pkcs11:token=a?pin-value=1234");
    rig_start(rig);
    struct ipc_status status = rig_wait_phase(rig, IPC_PHASE_CONFIG, 10000);
    assert_null(strstr(status.text, "1234"));
}

static void test_token_gone_ends_the_process_and_never_lies(void **state)
{
    struct token_rig *rig = *state;
    struct rig_listing listing;
    struct rig_reply reply;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    assert_int_equal(
        rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &reply), IPC_OK);
    take_token_away(rig);
    assert_false(rig_list(rig, false, &listing));
    assert_int_equal(rig_wait_end(rig, 5000), TOKEN_EXIT_LOST);
    rig_start(rig);
    (void)rig_wait_phase(rig, IPC_PHASE_NO_TOKEN, 10000);
    bring_token_back(rig);
    (void)rig_wait_phase(rig, IPC_PHASE_READY, 10000);
    assert_int_equal(
        rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &reply), IPC_OK);
}

static void test_token_gone_ends_a_wrap_without_an_answer(void **state)
{
    struct token_rig *rig = *state;
    uint8_t frame[sizeof(struct ipc_crypt) + 1] = {0};
    struct rig_reply reply;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    struct ipc_crypt ask = {.key = key.ref, .data_len = 1};
    memcpy(frame, &ask, sizeof(ask));
    take_token_away(rig);
    assert_false(rig_call(rig, IPC_WRAP, span_of(frame, sizeof(frame)), &reply));
    assert_int_equal(rig_wait_end(rig, 5000), TOKEN_EXIT_LOST);
}

static void test_key_deleted_is_believed_by_a_fresh_process_only(void **state)
{
    struct token_rig *rig = *state;
    struct rig_listing listing;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    tool(rig, (const char *const[]){"--delete-object", "--type", "secrkey", "--id",
                                    "03030303030303030303030303030303", NULL});
    assert_false(rig_list(rig, false, &listing));
    assert_int_equal(rig_wait_end(rig, 5000), TOKEN_EXIT_LOST);
    rig_start_ready(rig);
    assert_true(rig_list(rig, false, &listing));
    assert_int_equal(listing.outcome, IPC_OK);
    assert_int_equal(listing.n, 0);
    (void)key;
}

static void test_key_replaced_under_id_and_label_has_another_fingerprint(void **state)
{
    struct token_rig *rig = *state;
    struct rig_listing listing;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    (void)rig_stop(rig);
    const char *id = "03030303030303030303030303030303";
    tool(rig, (const char *const[]){"--delete-object", "--type", "secrkey", "--id", id, NULL});
    tool(rig, (const char *const[]){"--keygen", "--key-type", "AES:32", "--id", id, "--label",
                                    key.label, "--private", "--sensitive", NULL});
    rig_start_ready(rig);
    assert_true(rig_list(rig, false, &listing));
    assert_int_equal(listing.n, 1);
    assert_string_equal(listing.keys[0].label, key.label);
    assert_memory_equal(listing.keys[0].ref.id, key.ref.id, 16);
    assert_false(key_ref_equal(&listing.keys[0].ref, &key.ref));
    struct rig_reply reply;
    assert_int_equal(
        rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &reply), IPC_NO_KEY);
}

static void test_key_made_carelessly_is_reported_attribute_by_attribute(void **state)
{
    struct token_rig *rig = *state;
    struct rig_listing listing;
    tool(rig, (const char *const[]){"--keygen", "--key-type", "AES:16", "--id", "aa", "--label",
                                    "p11k:test:00000001:00000001", "--extractable", NULL});
    rig_start_ready(rig);
    assert_true(rig_list(rig, false, &listing));
    assert_int_equal(listing.n, 1);
    uint32_t must = IPC_ATTR_PRIVATE | IPC_ATTR_NEVER_EXTRACTABLE | IPC_ATTR_EXTRACTABLE |
                    IPC_ATTR_VALUE | IPC_ATTR_WRAP | IPC_ATTR_UNWRAP;
    assert_int_equal(listing.keys[0].bad & must, must);
    assert_int_equal(listing.keys[0].bad & (IPC_ATTR_LOCAL | IPC_ATTR_AAD), 0);
}

static void test_list_foreign_keys_are_listed_on_request_only(void **state)
{
    struct token_rig *rig = *state;
    struct rig_listing listing;
    tool(rig, (const char *const[]){"--keygen", "--key-type", "AES:32", "--id", "bb", "--label",
                                    "somebody else's", "--private", NULL});
    rig_start_ready(rig);
    assert_true(rig_list(rig, false, &listing));
    assert_int_equal(listing.n, 0);
    assert_true(rig_list(rig, true, &listing));
    assert_int_equal(listing.n, 1);
    assert_int_equal(listing.keys[0].ref.fingerprint_len, 16);
}

static void test_call_that_hangs_ends_the_process(void **state)
{
    struct token_rig *rig = *state;
    struct ipc_random ask = {.n = 8};
    struct ipc_header header = {.verb = IPC_RANDOM, .call = 77, .remaining_ms = 20000};
    rig_start_ready(rig);
    rig_shim(rig, "C_GenerateRandom hang\n");
    assert_ok(ipc_send(rig->service_fd, &header, span_of(&ask, sizeof(ask))));
    usleep(2000 * 1000);
    /* Pings are answered all the while. */
    assert_int_equal(rig_status(rig).phase, IPC_PHASE_READY);
    assert_int_equal(rig_wait_end(rig, 12000), TOKEN_EXIT_HUNG);
}

static void test_start_that_hangs_ends_after_its_own_limit(void **state)
{
    struct token_rig *rig = *state;
    rig->config.tokens[0].start_timeout_s = 2;
    rig_shim(rig, "C_Initialize hang\n");
    rig_start(rig);
    assert_int_equal(rig_wait_end(rig, 5000), TOKEN_EXIT_HUNG);
}

static void test_session_spoilt_once_costs_no_answer(void **state)
{
    struct token_rig *rig = *state;
    struct rig_reply reply;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    unsigned sessions = rig_shim_count(rig, "C_OpenSession");
    rig_shim(rig, "C_Encrypt rv 0xb3 1\n");
    assert_int_equal(
        rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &reply), IPC_OK);
    assert_int_equal(rig_shim_count(rig, "C_OpenSession"), sessions + 1);
}

static void test_handle_gone_once_is_found_again(void **state)
{
    struct token_rig *rig = *state;
    struct rig_reply reply;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    rig_shim(rig, "C_EncryptInit rv 0x82 1\n");
    assert_int_equal(
        rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &reply), IPC_OK);
}

/* SoftHSM rewrites the token's file at each login, and other processes may meet it half-written. */
static void test_logins_of_other_processes_disturb_nobody(void **state)
{
    struct token_rig *rig = *state;
    struct rig_listing listing;
    struct rig_reply reply;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    pid_t others = fork();
    if (others == 0) {
        for (int i = 0; i < 40; i++) {
            /* The tool itself gives up when it meets us at it. */
            (void)try_tool(rig, (const char *const[]){"--list-objects", NULL});
        }
        _exit(0);
    }
    while (waitpid(others, NULL, WNOHANG) == 0) {
        assert_true(rig_list(rig, false, &listing));
        assert_int_equal(listing.outcome, IPC_OK);
        assert_int_equal(listing.n, 1);
        assert_int_equal(
            rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &reply), IPC_OK);
    }
}

static void test_errors_that_go_on_replace_the_process(void **state)
{
    struct token_rig *rig = *state;
    struct ipc_random ask = {.n = 8};
    struct rig_reply reply;
    rig_start_ready(rig);
    rig_shim(rig, "C_GenerateRandom rv 0x5\n");
    for (int i = 0; i < 2; i++) {
        assert_true(rig_call(rig, IPC_RANDOM, span_of(&ask, sizeof(ask)), &reply));
        assert_int_equal(reply.header.outcome, IPC_UNAVAILABLE);
    }
    (void)rig_call(rig, IPC_RANDOM, span_of(&ask, sizeof(ask)), &reply);
    assert_int_equal(rig_wait_end(rig, 5000), TOKEN_EXIT_LOST);
}

static void test_device_removed_replaces_the_process(void **state)
{
    struct token_rig *rig = *state;
    struct rig_listing listing;
    rig_start_ready(rig);
    rig_shim(rig, "C_FindObjectsInit rv 0x32\n");
    (void)rig_list(rig, false, &listing);
    assert_int_not_equal(listing.outcome, IPC_OK);
    assert_int_equal(rig_wait_end(rig, 5000), TOKEN_EXIT_LOST);
}

static void test_key_unreadable_is_told_and_read_again(void **state)
{
    struct token_rig *rig = *state;
    struct rig_listing listing;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    (void)rig_stop(rig);
    rig_shim(rig, "C_EncryptInit rv 0x70\n");
    rig_start_ready(rig);
    assert_true(rig_list(rig, false, &listing));
    assert_int_equal(listing.n, 1);
    assert_int_equal(listing.keys[0].state, IPC_KEY_UNREADABLE);
    assert_int_equal(listing.keys[0].rv, 0x70);
    rig_shim(rig, NULL);
    assert_true(rig_list(rig, false, &listing));
    assert_int_equal(listing.keys[0].state, IPC_KEY_READ);
    assert_true(key_ref_equal(&listing.keys[0].ref, &key.ref));
}

static void test_session_spoilt_again_is_unavailable(void **state)
{
    struct token_rig *rig = *state;
    struct rig_reply reply;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    unsigned sessions = rig_shim_count(rig, "C_OpenSession");
    rig->call_ms = 3000;
    rig_shim(rig, "C_Encrypt rv 0xb3\n");
    assert_int_equal(
        rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &reply),
        IPC_UNAVAILABLE);
    assert_int_equal(reply.header.rv, 0xb3);
    assert_true(rig_shim_count(rig, "C_OpenSession") > sessions);
    rig->call_ms = 20000;
    rig_shim(rig, NULL);
    assert_int_equal(
        rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &reply), IPC_OK);
}

static void test_unwrap_error_that_hits_the_canary_too_is_an_outage(void **state)
{
    struct token_rig *rig = *state;
    struct rig_reply wrapped;
    struct rig_reply reply;
    rig_start_ready(rig);
    struct ipc_key key = rig_generate(rig, 3);
    assert_int_equal(
        rig_crypt(rig, IPC_WRAP, &key.ref, "a", span_of(seed, sizeof(seed)), &wrapped), IPC_OK);
    rig->call_ms = 3000;
    rig_shim(rig, "C_Decrypt rv 0x5\n");
    assert_int_equal(rig_crypt(rig, IPC_UNWRAP, &key.ref, "a", wrapped.data, &reply),
                     IPC_UNAVAILABLE);
    rig->call_ms = 20000;
    rig_shim(rig, NULL);
    assert_int_equal(rig_crypt(rig, IPC_UNWRAP, &key.ref, "a", wrapped.data, &reply), IPC_OK);
}

#define WITH_TOKEN(test_) cmocka_unit_test_setup_teardown(test_, rig_set_up_shim, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_token_late_is_found_by_itself),
        WITH_TOKEN(test_module_late_is_loaded_by_itself),
        WITH_TOKEN(test_token_other_than_the_uri_says_is_not_used),
        WITH_TOKEN(test_uri_with_a_pin_is_a_config_fault),
        WITH_TOKEN(test_token_gone_ends_the_process_and_never_lies),
        WITH_TOKEN(test_token_gone_ends_a_wrap_without_an_answer),
        WITH_TOKEN(test_key_deleted_is_believed_by_a_fresh_process_only),
        WITH_TOKEN(test_key_replaced_under_id_and_label_has_another_fingerprint),
        WITH_TOKEN(test_key_made_carelessly_is_reported_attribute_by_attribute),
        WITH_TOKEN(test_list_foreign_keys_are_listed_on_request_only),
        WITH_TOKEN(test_call_that_hangs_ends_the_process),
        WITH_TOKEN(test_start_that_hangs_ends_after_its_own_limit),
        WITH_TOKEN(test_session_spoilt_once_costs_no_answer),
        WITH_TOKEN(test_session_spoilt_again_is_unavailable),
        WITH_TOKEN(test_handle_gone_once_is_found_again),
        WITH_TOKEN(test_logins_of_other_processes_disturb_nobody),
        WITH_TOKEN(test_errors_that_go_on_replace_the_process),
        WITH_TOKEN(test_device_removed_replaces_the_process),
        WITH_TOKEN(test_key_unreadable_is_told_and_read_again),
        WITH_TOKEN(test_unwrap_error_that_hits_the_canary_too_is_an_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
