#define _GNU_SOURCE
#include "token/ipc.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/unit.h"

static int fds[2];

static int setup(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
}

static int teardown(void **state)
{
    (void)state;
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 0;
}

static struct ipc_header good(uint32_t length)
{
    return (struct ipc_header){.magic = IPC_MAGIC, .verb = IPC_WRAP, .call = 7, .length = length};
}

static void send_raw(struct ipc_header header, size_t payload)
{
    uint8_t packet[sizeof(header) + IPC_PAYLOAD_MAX + 8] = {0};
    memcpy(packet, &header, sizeof(header));
    assert_int_equal(send(fds[0], packet, sizeof(header) + payload, 0),
                     (ssize_t)(sizeof(header) + payload));
}

static err_t receive(size_t room_len)
{
    static uint8_t room[IPC_PAYLOAD_MAX];
    struct ipc_header header;
    struct span payload;
    return ipc_receive(fds[1], &header, span_mut_of(room, room_len), &payload);
}

static void test_send_and_receive_frame_arrives_whole(void **state)
{
    (void)state;
    uint8_t room[64];
    struct ipc_header out = {.verb = IPC_UNWRAP, .call = 3, .remaining_ms = 40};
    struct ipc_header in;
    struct span payload;
    assert_ok(ipc_send(fds[0], &out, span_of_text("blob")));
    assert_ok(ipc_receive(fds[1], &in, span_mut_of(room, sizeof(room)), &payload));
    assert_int_equal(in.verb, IPC_UNWRAP);
    assert_int_equal(in.call, 3);
    assert_int_equal(in.remaining_ms, 40);
    assert_true(span_equal(payload, span_of_text("blob")));
}

static void test_send_payload_at_limit_passes_and_above_is_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[IPC_PAYLOAD_MAX + 1];
    struct ipc_header header = {.verb = IPC_WRAP};
    assert_ok(ipc_send(fds[0], &header, span_of(bytes, IPC_PAYLOAD_MAX)));
    assert_ok(receive(IPC_PAYLOAD_MAX));
    assert_fails(ipc_send(fds[0], &header, span_of(bytes, IPC_PAYLOAD_MAX + 1)), E_BUG);
}

static void test_send_full_socket_would_block(void **state)
{
    (void)state;
    static const uint8_t bytes[IPC_PAYLOAD_MAX];
    struct ipc_header header = {.verb = IPC_WRAP};
    err_t err = OK;
    for (int i = 0; i < 10000 && !failed(err); i++) {
        err = ipc_send(fds[0], &header, span_of(bytes, sizeof(bytes)));
    }
    assert_int_equal(err.code, E_UNAVAILABLE);
}

static void test_send_closed_peer_is_a_system_error(void **state)
{
    (void)state;
    struct ipc_header header = {.verb = IPC_PROBE};
    (void)close(fds[1]);
    fds[1] = -1;
    assert_fails(ipc_send(fds[0], &header, span_of(NULL, 0)), E_SYSTEM);
}

static void test_receive_nothing_there_would_block(void **state)
{
    (void)state;
    assert_fails(receive(64), E_UNAVAILABLE);
}

static void test_receive_closed_peer_is_not_found(void **state)
{
    (void)state;
    (void)close(fds[0]);
    fds[0] = -1;
    assert_fails(receive(64), E_NOT_FOUND);
}

static void test_receive_length_at_room_passes_and_above_is_refused(void **state)
{
    (void)state;
    send_raw(good(64), 64);
    assert_ok(receive(64));
    send_raw(good(65), 65);
    assert_fails(receive(64), E_PROTOCOL);
}

static void test_receive_each_broken_field_is_refused(void **state)
{
    (void)state;
    struct ipc_header broken[] = {good(4), good(4), good(4), good(4),
                                  good(4), good(4), good(3), good(5)};
    broken[0].magic ^= 1;
    broken[1].verb = 0;
    broken[2].verb = IPC_VERBS;
    broken[3].flags = 2;
    broken[4].outcome = IPC_LACKS + 1;
    broken[5].reserved = 1;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        send_raw(broken[i], 4);
        assert_fails(receive(64), E_PROTOCOL);
    }
    assert_int_equal(send(fds[0], broken, sizeof(struct ipc_header) - 1, 0),
                     sizeof(struct ipc_header) - 1);
    assert_fails(receive(64), E_PROTOCOL);
}

/* What fits is all that the header says, and yet not all that was sent. */
static void test_receive_frame_cut_to_what_its_header_says_is_refused(void **state)
{
    (void)state;
    send_raw(good(4), 5);
    assert_fails(receive(4), E_PROTOCOL);
    send_raw(good(4), 4);
    assert_fails(receive(4), E_NONE);
}

static void test_attribute_name_every_bit_has_one(void **state)
{
    (void)state;
    assert_string_equal(ipc_attribute_name(IPC_ATTR_PRIVATE), "CKA_PRIVATE");
    assert_string_equal(ipc_attribute_name(IPC_ATTR_EXTRACTABLE), "CKA_EXTRACTABLE");
    assert_string_equal(ipc_attribute_name(IPC_ATTR_DERIVE), "CKA_DERIVE");
    assert_string_equal(ipc_attribute_name(IPC_ATTR_MODIFIABLE), "CKA_MODIFIABLE");
    assert_string_equal(ipc_attribute_name(1u << 16), "unknown attribute");
}

#define ON_A_PAIR(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

static void test_attribute_names_are_listed_and_cut(void **state)
{
    (void)state;
    char text[64];
    char small[8];
    ipc_attribute_names(IPC_ATTR_LOCAL | IPC_ATTR_SIGN, text, sizeof(text));
    assert_string_equal(text, "CKA_LOCAL, CKA_SIGN");
    ipc_attribute_names(IPC_ATTR_LOCAL | IPC_ATTR_SIGN, small, sizeof(small));
    assert_int_equal(strlen(small), sizeof(small) - 1);
    ipc_attribute_names(0, text, sizeof(text));
    assert_string_equal(text, "");
}

static void test_mechanism_words_each_has_some_and_what_is_none_too(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < IPC_MECHANISMS_N; i++) {
        assert_true(ipc_mechanism_words(i)[0] != '\0');
    }
    assert_non_null(strstr(ipc_mechanism_words(IPC_MECHANISM_AES_GCM), "CKM_AES_GCM"));
    assert_string_equal(ipc_mechanism_words(IPC_MECHANISMS_N), ipc_mechanism_words(0));
    assert_string_equal(ipc_mechanism_words(UINT64_MAX), ipc_mechanism_words(0));
}

static void test_status_read_texts_are_made_printable(void **state)
{
    (void)state;
    struct ipc_status in = {.phase = IPC_PHASE_PIN, .text = "caf\xc3\xa9 \xff\n", .token = "t\x01"};
    struct ipc_status out = {0};
    assert_ok(ipc_status_read(span_of(&in, sizeof(in)), &out));
    assert_string_equal(out.text, "caf\xc3\xa9 ??");
    assert_string_equal(out.token, "t?");
    assert_int_equal(out.phase, IPC_PHASE_PIN);
}

static void test_status_read_broken_ones_are_refused(void **state)
{
    (void)state;
    struct ipc_status out = {.phase = 77};
    struct ipc_status unknown = {.phase = IPC_PHASE_READY + 1};
    struct ipc_status endless = {0};
    memset(endless.serial, 'x', sizeof(endless.serial));
    assert_fails(ipc_status_read(span_of(&unknown, sizeof(unknown)), &out), E_PROTOCOL);
    assert_fails(ipc_status_read(span_of(&endless, sizeof(endless)), &out), E_PROTOCOL);
    assert_fails(ipc_status_read(span_of(&endless, sizeof(endless) - 1), &out), E_PROTOCOL);
    struct ipc_status no_end[4] = {{0}};
    memset(no_end[0].text, 'x', sizeof(no_end[0].text));
    memset(no_end[1].token, 'x', sizeof(no_end[1].token));
    memset(no_end[2].model, 'x', sizeof(no_end[2].model));
    memset(no_end[3].manufacturer, 'x', sizeof(no_end[3].manufacturer));
    for (size_t i = 0; i < 4; i++) {
        assert_fails(ipc_status_read(span_of(&no_end[i], sizeof(no_end[i])), &out), E_PROTOCOL);
    }
    assert_int_equal(out.phase, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_PAIR(test_send_and_receive_frame_arrives_whole),
        ON_A_PAIR(test_send_payload_at_limit_passes_and_above_is_refused),
        ON_A_PAIR(test_send_full_socket_would_block),
        ON_A_PAIR(test_send_closed_peer_is_a_system_error),
        ON_A_PAIR(test_receive_nothing_there_would_block),
        ON_A_PAIR(test_receive_closed_peer_is_not_found),
        ON_A_PAIR(test_receive_length_at_room_passes_and_above_is_refused),
        ON_A_PAIR(test_receive_each_broken_field_is_refused),
        ON_A_PAIR(test_receive_frame_cut_to_what_its_header_says_is_refused),
        cmocka_unit_test(test_attribute_name_every_bit_has_one),
        cmocka_unit_test(test_attribute_names_are_listed_and_cut),
        cmocka_unit_test(test_mechanism_words_each_has_some_and_what_is_none_too),
        cmocka_unit_test(test_status_read_texts_are_made_printable),
        cmocka_unit_test(test_status_read_broken_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
