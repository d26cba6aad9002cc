/*
 * A module that says what cannot be true: each lie is refused and named in the log or in the mend,
 * nothing is read or written out of bounds, the process lives on, and all is well when the lie
 * stops.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pkcs11/key.h"
#include "tests/kit/unit.h"
#include "tests/token/rig.h"

#define LOG_MAX 65536

static const uint8_t seed[32] = "0123456789abcdef0123456789abcde";

enum ask { LIST_FIRST, LIST_AGAIN, WRAP, UNWRAP, RANDOM, GENERATE };

/* Told before the process starts: it does not get ready, and says why. */
static const struct start_lie {
    const char *orders;
    enum ipc_phase phase;
    const char *mend;
} start_lies[] = {
    {"C_GetFunctionList null", IPC_PHASE_NO_MODULE, "C_GetFunctionList gave no list"},
    {"C_GetFunctionList major 1", IPC_PHASE_NO_MODULE, "PKCS#11 1"},
    {"C_GetFunctionList major 77", IPC_PHASE_NO_MODULE, "PKCS#11 77"},
    {"C_GetFunctionList lacks 0", IPC_PHASE_NO_MODULE, "C_Encrypt"},
    {"C_GetSlotList count 1025", IPC_PHASE_NO_TOKEN,
     "C_GetSlotList gave more slots than there is room for: 1025"},
    {"C_GetSlotList count -1", IPC_PHASE_NO_TOKEN,
     "C_GetSlotList gave more slots than there is room for: 18446744073709551615"},
    {"C_GetSlotList count 0", IPC_PHASE_NO_TOKEN, "tokens there: none"},
    {"C_GetSlotList slots 2000", IPC_PHASE_NO_TOKEN, "CKR_BUFFER_TOO_SMALL"},
    {"C_GetTokenInfo text 0xff", IPC_PHASE_NO_TOKEN, "????????????????????????????????"},
    {"C_GetTokenInfo text 0x41", IPC_PHASE_NO_TOKEN, "AAAAAAAAAAAAAAAA"},
    {"C_GetTokenInfo text 0", IPC_PHASE_NO_TOKEN, "no token matches"},
    {"C_GetTokenInfo rv 0x30", IPC_PHASE_NO_TOKEN, "CKR_DEVICE_ERROR"},
    {"C_OpenSession handle 0", IPC_PHASE_NO_TOKEN, "C_OpenSession gave a handle that is none"},
};

/* Told to a process that is ready. */
static const struct call_lie {
    const char *orders;
    enum ask ask;
    enum ipc_outcome outcome;
    const char *line; /* of the log */
} call_lies[] = {
    {"C_FindObjects count 1025", LIST_FIRST, IPC_UNAVAILABLE, "C_FindObjects gave more handles"},
    {"C_FindObjects count -1", LIST_AGAIN, IPC_UNAVAILABLE, "said=\"18446744073709551615\""},
    {"C_FindObjects handle 0", LIST_FIRST, IPC_UNAVAILABLE,
     "C_FindObjects gave a handle that is none"},
    /* CKA_LABEL and CKA_ID of a key that is known: what is known stands. */
    {"C_GetAttributeValue:3 len -1", LIST_AGAIN, IPC_OK, "said=\"18446744073709551615\""},
    {"C_GetAttributeValue:3 len 5000", LIST_AGAIN, IPC_OK, "said=\"5000\""},
    {"C_GetAttributeValue:3 len 0", LIST_AGAIN, IPC_OK, "has no label"},
    {"C_GetAttributeValue:102 len -1", LIST_AGAIN, IPC_OK, "said=\"18446744073709551615\""},
    {"C_GetAttributeValue:102 len 5000", LIST_AGAIN, IPC_OK, "said=\"5000\""},
    {"C_GetAttributeValue:102 len 0", LIST_AGAIN, IPC_OK, "has no CKA_ID"},
    {"C_Encrypt len 2049", WRAP, IPC_UNAVAILABLE, "C_Encrypt of AES-GCM gave another length"},
    {"C_Encrypt len -1", WRAP, IPC_UNAVAILABLE, "said=\"18446744073709551615\""},
    {"C_Encrypt len 47", WRAP, IPC_UNAVAILABLE, "said=\"47\""},
    {"C_Encrypt len 0", WRAP, IPC_UNAVAILABLE, "said=\"0\""},
    {"C_Encrypt len 49", WRAP, IPC_UNAVAILABLE, "said=\"49\""},
    {"C_Decrypt len 2049", UNWRAP, IPC_UNAVAILABLE, "C_Decrypt of AES-GCM gave another length"},
    {"C_Decrypt len -1", UNWRAP, IPC_UNAVAILABLE, "said=\"18446744073709551615\""},
    {"C_Decrypt len 31", UNWRAP, IPC_UNAVAILABLE, "said=\"31\""},
    {"C_Decrypt len 0", UNWRAP, IPC_UNAVAILABLE, "said=\"0\""},
    {"C_GenerateRandom nothing", RANDOM, IPC_UNAVAILABLE, "C_GenerateRandom gave zeros"},
    {"C_OpenSession handle 0", GENERATE, IPC_UNAVAILABLE,
     "C_OpenSession gave a handle that is none"},
};

/*
 * At the first look at a key: it is listed, as one that cannot be read. Without a name it may be
 * any key.
 */
static const struct key_lie {
    const char *orders;
    const char *line;
} key_lies[] = {
    {"C_GetAttributeValue:3 len -1", "said=\"18446744073709551615\""}, /* CKA_LABEL */
    {"C_GetAttributeValue:3 len 5000", "said=\"5000\""},
    {"C_GetAttributeValue:102 len -1", "said=\"18446744073709551615\""}, /* CKA_ID */
    {"C_GetAttributeValue:102 len 5000", "said=\"5000\""},
    {"C_GetAttributeValue:162 len 0", "said=\"0\""}, /* CKA_EXTRACTABLE */
    {"C_GetAttributeValue:162 len 2", "said=\"2\""},
    {"C_GetAttributeValue:162 len 8", "said=\"8\""},
    {"C_GetAttributeValue:162 len -1", "said=\"18446744073709551615\""},
    {"C_GetAttributeValue:103 byte 2", "said=\"2\""}, /* CKA_SENSITIVE */
    {"C_GetAttributeValue:161 len 4", "said=\"4\""},  /* CKA_VALUE_LEN */
    {"C_GetAttributeValue:161 len 16", "said=\"16\""},
    {"C_GetAttributeValue:161 len -1", "said=\"18446744073709551615\""},
    {"C_Encrypt len 33", "said=\"33\""},
    {"C_Encrypt len 0", "said=\"0\""},
    {"C_Encrypt len -1", "said=\"18446744073709551615\""},
};

#define COUNT(table_) (sizeof(table_) / sizeof((table_)[0]))

static struct ipc_key kek;

static int set_up(void **state)
{
    struct token_rig *rig = rig_new_softhsm();
    rig_use_shim(rig);
    rig_start_ready(rig);
    kek = rig_generate(rig, 3);
    (void)rig_stop(rig);
    *state = rig;
    return 0;
}

static void start_logged(struct token_rig *rig)
{
    char path[256];
    rig_write(rig, "log", "");
    rig_path(rig, "log", path, sizeof(path));
    int log_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    int error_fd = dup(STDERR_FILENO);
    assert_true(log_fd >= 0 && error_fd >= 0);
    assert_int_equal(dup2(log_fd, STDERR_FILENO), STDERR_FILENO);
    rig_start(rig);
    assert_int_equal(dup2(error_fd, STDERR_FILENO), STDERR_FILENO);
    (void)close(log_fd);
    (void)close(error_fd);
}

static void log_says(struct token_rig *rig, const char *what, const char *orders)
{
    static char log[LOG_MAX];
    rig_read(rig, "log", log, sizeof(log));
    if (strstr(log, "Sanitizer") != NULL || strstr(log, "runtime error") != NULL ||
        strstr(log, what) == NULL) {
        fail_msg("%s: not \"%s\" in the log:\n%s", orders, what, log);
    }
}

static void ready_again(struct token_rig *rig, const char *orders)
{
    pid_t pid = rig->pid;
    rig_shim(rig, NULL);
    (void)rig_wait_phase(rig, IPC_PHASE_READY, 15000);
    assert_int_equal(rig->pid, pid);
    log_says(rig, "", orders);
    if (rig_stop(rig) != 0) {
        fail_msg("%s: the process did not end well", orders);
    }
}

static void test_start_each_lie_is_named_and_waited_out(void **state)
{
    struct token_rig *rig = *state;
    for (size_t i = 0; i < COUNT(start_lies); i++) {
        const struct start_lie *lie = &start_lies[i];
        rig_shim(rig, lie->orders);
        start_logged(rig);
        struct ipc_status status = rig_wait_phase(rig, lie->phase, 15000);
        if (strstr(status.text, lie->mend) == NULL) {
            fail_msg("%s: not \"%s\" in: %s", lie->orders, lie->mend, status.text);
        }
        ready_again(rig, lie->orders);
    }
}

static enum ipc_outcome list(struct token_rig *rig)
{
    struct rig_listing listing;
    assert_true(rig_list(rig, false, &listing));
    if (listing.outcome == IPC_OK) {
        assert_int_equal(listing.n, 1);
        assert_true(key_ref_equal(&listing.keys[0].ref, &kek.ref));
    }
    return (enum ipc_outcome)listing.outcome;
}

static enum ipc_outcome generate(struct token_rig *rig)
{
    /* The id of the key that is there: a truthful call finds it and makes none. */
    struct ipc_generate ask = {.ring = "test", .scheme = 1};
    struct rig_reply reply;
    memset(ask.id, 3, sizeof(ask.id));
    assert_true(rig_call(rig, IPC_GENERATE, span_of(&ask, sizeof(ask)), &reply));
    return (enum ipc_outcome)reply.header.outcome;
}

static enum ipc_outcome do_ask(struct token_rig *rig, enum ask ask, const struct rig_reply *wrapped)
{
    const struct ipc_random random = {.n = 64};
    struct rig_reply reply;
    switch (ask) {
    case LIST_FIRST:
    case LIST_AGAIN:
        return list(rig);
    case WRAP:
        return rig_crypt(rig, IPC_WRAP, &kek.ref, "a", span_of(seed, sizeof(seed)), &reply);
    case UNWRAP:
        return rig_crypt(rig, IPC_UNWRAP, &kek.ref, "a",
                         span_of(wrapped->bytes, wrapped->header.length), &reply);
    case RANDOM:
        assert_true(rig_call(rig, IPC_RANDOM, span_of(&random, sizeof(random)), &reply));
        return (enum ipc_outcome)reply.header.outcome;
    case GENERATE:
        return generate(rig);
    }
    return IPC_OK;
}

static void try_call_lie(struct token_rig *rig, const struct call_lie *lie)
{
    struct rig_reply wrapped = {0};
    start_logged(rig);
    (void)rig_wait_phase(rig, IPC_PHASE_READY, 15000);
    if (lie->ask != LIST_FIRST) {
        assert_int_equal(list(rig), IPC_OK);
        assert_int_equal(
            rig_crypt(rig, IPC_WRAP, &kek.ref, "a", span_of(seed, sizeof(seed)), &wrapped), IPC_OK);
    }
    rig_shim(rig, lie->orders);
    /* tried again while there is time: once is enough */
    bool crypts = lie->ask == WRAP || lie->ask == UNWRAP;
    rig->call_ms = crypts ? 1500 : 20000;
    for (int i = 0; i < (crypts ? 1 : 4); i++) {
        enum ipc_outcome outcome = do_ask(rig, lie->ask, &wrapped);
        if (outcome != lie->outcome) {
            fail_msg("%s: outcome %d, not %d", lie->orders, (int)outcome, (int)lie->outcome);
        }
    }
    log_says(rig, lie->line, lie->orders);
    rig_shim(rig, NULL);
    rig->call_ms = 20000;
    assert_int_equal(do_ask(rig, lie->ask, &wrapped), IPC_OK);
    ready_again(rig, lie->orders);
}

static void test_call_each_lie_is_named_and_forgotten(void **state)
{
    for (size_t i = 0; i < COUNT(call_lies); i++) {
        try_call_lie(*state, &call_lies[i]);
    }
}

static void test_list_each_lie_about_a_key_makes_it_unreadable(void **state)
{
    struct token_rig *rig = *state;
    struct rig_listing listing;
    for (size_t i = 0; i < COUNT(key_lies); i++) {
        const struct key_lie *lie = &key_lies[i];
        start_logged(rig);
        (void)rig_wait_phase(rig, IPC_PHASE_READY, 15000);
        rig_shim(rig, lie->orders);
        assert_true(rig_list(rig, false, &listing));
        assert_int_equal(listing.outcome, IPC_OK);
        assert_int_equal(listing.n, 1);
        if (listing.keys[0].state != IPC_KEY_UNREADABLE || listing.keys[0].bad != 0) {
            fail_msg("%s: state %u", lie->orders, listing.keys[0].state);
        }
        log_says(rig, lie->line, lie->orders);
        log_says(rig, "rv=\"none\"", lie->orders);
        rig_shim(rig, NULL);
        assert_int_equal(list(rig), IPC_OK);
        ready_again(rig, lie->orders);
    }
}

/* The key is there, whatever was said of it: it is looked for by its id. */
static void test_generate_no_handle_given_finds_the_key(void **state)
{
    struct token_rig *rig = *state;
    start_logged(rig);
    (void)rig_wait_phase(rig, IPC_PHASE_READY, 15000);
    rig_shim(rig, "C_GenerateKey handle 0");
    struct ipc_key made = rig_generate(rig, 4);
    assert_int_equal(made.ref.id[0], 4);
    assert_int_equal(made.state, IPC_KEY_READ);
    log_says(rig, "C_GenerateKey gave a handle that is none", "C_GenerateKey");
    assert_int_equal(rig_shim_count(rig, "C_GenerateKey"), 2);
    ready_again(rig, "C_GenerateKey");
}

/* Seventy slots are no lie: an HSM with many partitions has them. */
static void test_start_seventy_slots_finds_the_token_among_them(void **state)
{
    struct token_rig *rig = *state;
    rig_shim(rig, "C_GetSlotList slots 70");
    start_logged(rig);
    (void)rig_wait_phase(rig, IPC_PHASE_READY, 15000);
    ready_again(rig, "seventy slots");
}

#define WITH_TOKEN(test_) cmocka_unit_test_setup_teardown(test_, set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_start_seventy_slots_finds_the_token_among_them),
        WITH_TOKEN(test_start_each_lie_is_named_and_waited_out),
        WITH_TOKEN(test_call_each_lie_is_named_and_forgotten),
        WITH_TOKEN(test_list_each_lie_about_a_key_makes_it_unreadable),
        WITH_TOKEN(test_generate_no_handle_given_finds_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
