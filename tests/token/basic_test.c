/* The verbs, on a SoftHSM token. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pkcs11/key.h"
#include "pkcs11/lost.h"
#include "tests/kit/unit.h"
#include "tests/token/rig.h"

static const uint8_t seed[32] = "0123456789abcdef0123456789abcde";

static int set_up(void **state)
{
    struct token_rig *rig = rig_new_softhsm();
    rig_start_ready(rig);
    *state = rig;
    return 0;
}

static void test_probe_ready_names_the_token(void **state)
{
    struct ipc_status status = rig_status(*state);
    assert_int_equal(status.phase, IPC_PHASE_READY);
    assert_int_equal(status.logins, 1);
    assert_string_equal(status.token, "p11-kms-test");
    assert_string_equal(status.manufacturer, "SoftHSM project");
    assert_int_equal(strlen(status.serial), 16);
    assert_string_equal(status.text, "");
}

static void test_list_empty_token_is_complete_and_empty(void **state)
{
    struct rig_listing listing;
    assert_true(rig_list(*state, true, &listing));
    assert_int_equal(listing.outcome, IPC_OK);
    assert_int_equal(listing.n, 0);
}

static void test_generate_key_is_all_that_a_kek_must_be(void **state)
{
    struct ipc_key key = rig_generate(*state, 7);
    char label[64];
    unsigned not_before = 0;
    unsigned created = 0;
    assert_int_equal(sscanf(key.label, "p11k:test:%8x:%8x", &not_before, &created), 2);
    (void)snprintf(label, sizeof(label), "p11k:test:%08x:%08x", not_before, created);
    assert_string_equal(key.label, label);
    assert_int_equal(key.activation.by, IPC_BY_LABEL);
    assert_string_equal(key.activation.ring, "test");
    assert_int_equal(key.activation.not_before, not_before);
    assert_int_equal(key.activation.created, created);
    assert_int_equal(not_before, created);
    assert_true((time_t)created <= time(NULL) && (time_t)created >= time(NULL) - 20);
    assert_int_equal(key.state, IPC_KEY_READ);
    assert_int_equal(key.bad, 0);
    assert_int_equal(key.not_reported, 0);
    assert_int_equal(key.ref.scheme, 1);
    assert_int_equal(key.ref.id_len, 16);
    assert_int_equal(key.ref.fingerprint_len, 16);
    struct rig_listing listing;
    assert_true(rig_list(*state, false, &listing));
    assert_int_equal(listing.n, 1);
    assert_memory_equal(&listing.keys[0], &key, sizeof(key));
}

static void test_generate_same_id_again_makes_no_second_key(void **state)
{
    struct ipc_key first = rig_generate(*state, 9);
    struct ipc_key again = rig_generate(*state, 9);
    struct rig_listing listing;
    assert_memory_equal(&first, &again, sizeof(first));
    assert_true(rig_list(*state, false, &listing));
    size_t of_this_id = 0;
    for (size_t i = 0; i < listing.n; i++) {
        of_this_id += key_ref_equal(&listing.keys[i].ref, &first.ref);
    }
    assert_int_equal(of_this_id, 1);
}

static void test_generate_too_little_notice_makes_nothing(void **state)
{
    struct ipc_generate ask = {.ring = "test",
                               .id = {42},
                               .scheme = 1,
                               .not_before = (uint32_t)time(NULL) + 100,
                               .min_notice_s = 300};
    struct rig_reply reply;
    struct rig_listing listing;
    assert_true(rig_call(*state, IPC_GENERATE, span_of(&ask, sizeof(ask)), &reply));
    assert_int_equal(reply.header.outcome, IPC_NOTICE);
    assert_true(rig_list(*state, true, &listing));
    for (size_t i = 0; i < listing.n; i++) {
        assert_int_not_equal(listing.keys[i].ref.id[0], 42);
    }
}

static void test_generate_unknown_scheme_is_refused(void **state)
{
    struct ipc_generate ask = {.ring = "test", .id = {43}, .scheme = 250};
    struct rig_reply reply;
    assert_true(rig_call(*state, IPC_GENERATE, span_of(&ask, sizeof(ask)), &reply));
    assert_int_equal(reply.header.outcome, IPC_REFUSED);
}

static void test_wrap_opens_again_and_never_looks_the_same(void **state)
{
    struct ipc_key key = rig_generate(*state, 7);
    struct rig_reply first;
    struct rig_reply second;
    struct rig_reply opened;
    struct span data = span_of(seed, sizeof(seed));
    assert_int_equal(rig_crypt(*state, IPC_WRAP, &key.ref, "aad", data, &first), IPC_OK);
    assert_int_equal(rig_crypt(*state, IPC_WRAP, &key.ref, "aad", data, &second), IPC_OK);
    assert_int_equal(first.data.len, 1 + 12 + 32 + 16);
    assert_int_equal(first.bytes[0], 12);
    assert_false(span_equal(first.data, second.data));
    assert_int_equal(rig_crypt(*state, IPC_UNWRAP, &key.ref, "aad", first.data, &opened), IPC_OK);
    assert_true(span_equal(opened.data, data));
}

/*
 * Of each part the first and the last byte: a verdict takes a while. NSS, which says it at once,
 * gets all.
 */
static void test_unwrap_flipped_byte_of_any_part_is_a_data_error(void **state)
{
    const size_t ends[] = {0, 1, 12, 13, 44, 45, 60};
    struct ipc_key key = rig_generate(*state, 7);
    struct rig_reply wrapped;
    struct rig_reply opened;
    struct span data = span_of(seed, sizeof(seed));
    assert_int_equal(rig_crypt(*state, IPC_WRAP, &key.ref, "aad", data, &wrapped), IPC_OK);
    assert_int_equal(wrapped.data.len, 61);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        wrapped.bytes[ends[i]] ^= 1;
        assert_int_equal(rig_crypt(*state, IPC_UNWRAP, &key.ref, "aad", wrapped.data, &opened),
                         IPC_DATA);
        assert_int_equal(opened.data.len, 0);
        wrapped.bytes[ends[i]] ^= 1;
    }
    assert_int_equal(rig_crypt(*state, IPC_UNWRAP, &key.ref, "abd", wrapped.data, &opened),
                     IPC_DATA);
    struct span cut = span_of(wrapped.data.ptr, wrapped.data.len - 1);
    assert_int_equal(rig_crypt(*state, IPC_UNWRAP, &key.ref, "aad", cut, &opened), IPC_DATA);
    assert_int_equal(rig_crypt(*state, IPC_UNWRAP, &key.ref, "aad", wrapped.data, &opened), IPC_OK);
}

static void test_unwrap_key_never_there_is_no_key(void **state)
{
    struct ipc_key_ref nobody = {.id_len = 16, .fingerprint_len = 16, .id = {0xee}, .scheme = 1};
    struct rig_reply reply;
    assert_int_equal(
        rig_crypt(*state, IPC_UNWRAP, &nobody, "aad", span_of(seed, sizeof(seed)), &reply),
        IPC_NO_KEY);
}

static void test_unwrap_wrong_fingerprint_is_no_key(void **state)
{
    struct ipc_key key = rig_generate(*state, 7);
    struct rig_reply reply;
    key.ref.fingerprint[0] ^= 1;
    assert_int_equal(
        rig_crypt(*state, IPC_WRAP, &key.ref, "aad", span_of(seed, sizeof(seed)), &reply),
        IPC_NO_KEY);
}

static void test_random_gives_what_is_asked(void **state)
{
    struct ipc_random ask = {.n = 256};
    struct rig_reply first;
    struct rig_reply second;
    assert_true(rig_call(*state, IPC_RANDOM, span_of(&ask, sizeof(ask)), &first));
    assert_true(rig_call(*state, IPC_RANDOM, span_of(&ask, sizeof(ask)), &second));
    assert_int_equal(first.data.len, 256);
    assert_false(span_equal(first.data, second.data));
}

static void test_request_past_its_deadline_never_reaches_the_module(void **state)
{
    struct token_rig *rig = *state;
    struct ipc_random ask = {.n = 8};
    uint64_t calls = rig_status(rig).calls;
    struct ipc_header header = {.verb = IPC_RANDOM, .call = rig->call + 1, .remaining_ms = 0};
    struct rig_reply reply;
    assert_ok(ipc_send(rig->service_fd, &header, span_of(&ask, sizeof(ask))));
    do {
        err_t err = ipc_receive(rig->service_fd, &reply.header,
                                span_mut_of(reply.bytes, sizeof(reply.bytes)), &reply.data);
        assert_true(!failed(err) || err.code == E_UNAVAILABLE);
        reply.header.call = failed(err) ? 0 : reply.header.call;
    } while (reply.header.call != header.call);
    rig->call++;
    assert_int_equal(reply.header.outcome, IPC_EXPIRED);
    assert_int_equal(rig_status(rig).calls, calls);
}

static void test_wrap_unknown_scheme_is_refused(void **state)
{
    struct ipc_key key = rig_generate(*state, 7);
    uint8_t frame[sizeof(struct ipc_crypt) + 1] = {0};
    struct ipc_crypt ask = {.key = key.ref, .data_len = 1};
    struct rig_reply reply;
    ask.key.scheme = 2;
    memcpy(frame, &ask, sizeof(ask));
    assert_true(rig_call(*state, IPC_WRAP, span_of(frame, sizeof(frame)), &reply));
    assert_int_equal(reply.header.outcome, IPC_REFUSED);
}

static void test_frame_that_does_not_fit_its_verb_ends_the_process(void **state)
{
    struct token_rig *rig = *state;
    struct ipc_header header = {.verb = IPC_RANDOM, .call = 1, .remaining_ms = 1000};
    assert_ok(ipc_send(rig->service_fd, &header, span_of("x", 1)));
    assert_int_equal(rig_wait_end(rig, 5000), TOKEN_EXIT_PROTOCOL);
}

static void test_stop_sockets_closed_ends_cleanly(void **state)
{
    struct token_rig *rig = *state;
    rig_start_ready(rig);
    assert_int_equal(rig_stop(rig), 0);
}

/*
 * A ping that is not answered gets the process killed, however much the client has to read before.
 */
static void test_probe_socket_full_is_answered_when_it_is_read(void **state)
{
    struct token_rig *rig = *state;
    struct rig_reply reply;
    unsigned sent = 0;
    rig_start_ready(rig);
    for (; sent < 1000; sent++) {
        struct ipc_header ping = {.verb = IPC_PROBE, .call = ++rig->call};
        if (failed(ipc_send(rig->service_fd, &ping, span_of(NULL, 0)))) {
            break;
        }
        usleep(100);
    }
    usleep(300 * 1000);
    unsigned answered = 0;
    for (int waits = 0; answered < sent && waits < 50;) {
        if (failed(ipc_receive(rig->service_fd, &reply.header,
                               span_mut_of(reply.bytes, sizeof(reply.bytes)), &reply.data))) {
            usleep(20 * 1000);
            waits++;
        } else if (reply.header.call != 0) {
            answered++;
        }
    }
    assert_int_equal(answered, sent);
    assert_int_equal(rig_stop(rig), 0);
}

/* A service manager whose log reader died must not find a process that dies at its first line. */
static void test_start_log_that_nobody_reads_is_ready_all_the_same(void **state)
{
    struct token_rig *rig = *state;
    int ends[2];
    int error_fd = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[0]);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    rig_start(rig);
    assert_int_equal(dup2(error_fd, STDERR_FILENO), STDERR_FILENO);
    (void)close(ends[1]);
    (void)close(error_fd);
    (void)rig_wait_phase(rig, IPC_PHASE_READY, 15000);
    assert_int_equal(rig_stop(rig), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe_ready_names_the_token),
        cmocka_unit_test(test_list_empty_token_is_complete_and_empty),
        cmocka_unit_test(test_generate_key_is_all_that_a_kek_must_be),
        cmocka_unit_test(test_generate_same_id_again_makes_no_second_key),
        cmocka_unit_test(test_generate_too_little_notice_makes_nothing),
        cmocka_unit_test(test_generate_unknown_scheme_is_refused),
        cmocka_unit_test(test_wrap_opens_again_and_never_looks_the_same),
        cmocka_unit_test(test_unwrap_flipped_byte_of_any_part_is_a_data_error),
        cmocka_unit_test(test_unwrap_key_never_there_is_no_key),
        cmocka_unit_test(test_unwrap_wrong_fingerprint_is_no_key),
        cmocka_unit_test(test_random_gives_what_is_asked),
        cmocka_unit_test(test_request_past_its_deadline_never_reaches_the_module),
        cmocka_unit_test(test_wrap_unknown_scheme_is_refused),
        cmocka_unit_test(test_frame_that_does_not_fit_its_verb_ends_the_process),
        cmocka_unit_test(test_stop_sockets_closed_ends_cleanly),
        cmocka_unit_test(test_probe_socket_full_is_answered_when_it_is_read),
        cmocka_unit_test(test_start_log_that_nobody_reads_is_ready_all_the_same),
    };
    return cmocka_run_group_tests(tests, set_up, rig_tear_down);
}
