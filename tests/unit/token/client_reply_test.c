/* Replies: listings, outcomes, pings, frames that no sound process sends. */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <unistd.h>

#include "base/version.h"
#include "tests/unit/token/client_rig.h"

static void test_list_is_delivered_whole(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < 40; i++) {
        (void)fake_token_add_key(t.token, "test", NOW_S + i, NOW_S);
    }
    (void)fake_token_add_key(t.token, "other", NOW_S, NOW_S);
    connect_token();
    call(IPC_LIST, CLIENT_CANARY, 1);
    settle();
    assert_answer(1, E_NONE);
    assert_int_equal(t.heard[0].keys_n, 40);
}

static void list_of(size_t n)
{
    for (size_t i = fake_token_key_count(t.token); i < n; i++) {
        (void)fake_token_add_key(t.token, "test", NOW_S, NOW_S);
    }
    call(IPC_LIST, CLIENT_CANARY, n);
    settle();
}

static void test_list_1024_keys_pass_and_1025_fail(void **state)
{
    (void)state;
    connect_token();
    list_of(CLIENT_KEYS_MAX);
    assert_answer(CLIENT_KEYS_MAX, E_NONE);
    assert_int_equal(t.heard[0].keys_n, CLIENT_KEYS_MAX);
    list_of(CLIENT_KEYS_MAX + 1);
    assert_answer(CLIENT_KEYS_MAX + 1, E_LIMIT);
    assert_int_equal(t.heard[1].keys_n, 0);
    assert_true(client_fd(t.client) >= 0);
}

static void test_list_broken_by_death_fails(void **state)
{
    (void)state;
    connect_token();
    fake_token_fault(t.token, IPC_LIST, FAKE_DROP); /* the keys come, the end does not */
    call(IPC_LIST, CLIENT_CANARY, 1);
    settle();
    assert_int_equal(t.heard_n, 0);
    fake_token_die(t.token);
    settle();
    assert_answer(1, E_UNAVAILABLE);
}

static void test_list_key_missing_from_the_count_detaches(void **state)
{
    (void)state;
    connect_token();
    fake_token_fault(t.token, IPC_LIST, FAKE_CORRUPT);
    call(IPC_LIST, CLIENT_CANARY, 1);
    settle();
    assert_int_equal(client_fd(t.client), -1);
    assert_answer(1, E_UNAVAILABLE);
}

static void test_generate_gives_the_new_key(void **state)
{
    (void)state;
    connect_token();
    call(IPC_GENERATE, CLIENT_CANARY, 1);
    settle();
    assert_answer(1, E_NONE);
    assert_int_equal(t.heard[0].keys_n, 1);
    assert_int_equal(fake_token_key_count(t.token), 2);
}

static void test_outcomes_have_their_errors(void **state)
{
    (void)state;
    static const struct {
        enum ipc_outcome outcome;
        enum err_code code;
    } rows[] = {
        {IPC_DATA, E_INVALID}, {IPC_NO_KEY, E_NOT_FOUND}, {IPC_UNAVAILABLE, E_UNAVAILABLE},
        {IPC_BUSY, E_LIMIT},   {IPC_REFUSED, E_TOKEN},    {IPC_EXPIRED, E_DEADLINE},
        {IPC_NOTICE, E_STATE}, {IPC_LACKS, E_UNSUPPORTED},
    };
    connect_token();
    for (uint64_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_token_refuse(t.token, IPC_UNWRAP, rows[i].outcome, 0x30);
        call(IPC_UNWRAP, CLIENT_LIVE, i);
        settle();
        assert_answer(i, rows[i].code);
        assert_int_equal(t.heard[i].rv, 0x30);
        assert_int_equal(t.heard[i].err.detail, 0x30);
    }
}

static void test_ping_every_two_seconds(void **state)
{
    (void)state;
    connect_token();
    assert_int_equal(fake_token_calls(t.token, IPC_PROBE), 1);
    assert_int_equal(client_next_ms(t.client), t.now_ms + 2000);
    later(1999);
    assert_int_equal(fake_token_calls(t.token, IPC_PROBE), 1);
    later(1);
    assert_int_equal(fake_token_calls(t.token, IPC_PROBE), 2);
    assert_int_equal(t.statuses, 1); /* said once: nothing changed */
}

static void test_hung_is_said_every_ten_seconds(void **state)
{
    (void)state;
    connect_token();
    fake_token_hang(t.token, true);
    later(2000);
    later(9999);
    assert_int_equal(t.hung, 0);
    assert_int_equal(client_next_ms(t.client), t.now_ms + 1);
    later(1);
    later(5000);
    assert_int_equal(t.hung, 1);
    assert_int_equal(client_next_ms(t.client), t.now_ms + 5000);
    later(5000);
    assert_int_equal(t.hung, 2); /* who was to kill it may not have heard */
    fake_token_hang(t.token, false);
    connect_token();
    fake_token_hang(t.token, true);
    later(2000);
    later(10000);
    assert_int_equal(t.hung, 3);
}

static void test_hung_owner_that_slept_finds_the_answer(void **state)
{
    (void)state;
    connect_token();
    t.now_ms += 2000;
    client_tick(t.client, t.now_ms);
    (void)fake_token_pump(t.token);
    t.now_ms += 20000;
    client_tick(t.client, t.now_ms);
    assert_int_equal(t.hung, 0);
}

static void test_hung_process_that_never_says_hello(void **state)
{
    (void)state;
    fake_token_hang(t.token, true);
    client_attach(t.client, fake_token_connect(t.token), t.now_ms);
    later(10000);
    assert_int_equal(t.hung, 1);
}

static void test_hello_of_another_build_detaches(void **state)
{
    (void)state;
    fake_token_set_build_id(t.token, "0.0.0+1");
    client_attach(t.client, fake_token_connect(t.token), t.now_ms);
    settle();
    assert_int_equal(client_fd(t.client), -1);
}

static void test_bad_frame_detaches_and_calls_live_on(void **state)
{
    (void)state;
    connect_token();
    fake_token_fault(t.token, IPC_RANDOM, FAKE_BAD_FRAME);
    call(IPC_RANDOM, CLIENT_LIVE, 1);
    settle();
    assert_int_equal(client_fd(t.client), -1);
    connect_token();
    assert_answer(1, E_NONE);
}

static void send_forged(struct ipc_header header, struct span payload)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    client_attach(t.client, fds[1], t.now_ms);
    struct ipc_header hello = {.verb = IPC_HELLO};
    assert_ok(ipc_send(fds[0], &hello, span_of_text(P11KMS_BUILD_ID)));
    assert_ok(ipc_send(fds[0], &header, payload));
    client_readable(t.client, t.now_ms);
    (void)close(fds[0]);
}

static void test_forged_replies_detach(void **state)
{
    (void)state;
    struct ipc_status status = {.phase = IPC_PHASE_READY + 1};
    struct ipc_status good = {.phase = IPC_PHASE_READY};
    const struct {
        struct ipc_header header;
        struct span payload;
    } rows[] = {
        {{.verb = IPC_WRAP, .flags = IPC_REPLY, .call = 99}, {0}}, /* no such call */
        {{.verb = IPC_PROBE, .call = 1}, span_of(&good, sizeof(good))}, /* a request */
        {{.verb = IPC_HELLO}, span_of_text(P11KMS_BUILD_ID)},      /* HELLO twice */
        {{.verb = IPC_PROBE, .flags = IPC_REPLY, .call = 1}, {0}}, /* no status in it */
        {{.verb = IPC_PROBE, .flags = IPC_REPLY, .call = 1}, span_of(&status, sizeof(status))},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        send_forged(rows[i].header, rows[i].payload);
        assert_int_equal(client_fd(t.client), -1);
    }
}

/* Of another build the same bytes may mean anything. */
static void test_reply_before_hello_detaches(void **state)
{
    (void)state;
    int fds[2];
    struct ipc_status good = {.phase = IPC_PHASE_READY};
    struct ipc_header header = {.verb = IPC_PROBE, .flags = IPC_REPLY, .call = 1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    client_attach(t.client, fds[1], t.now_ms);
    assert_ok(ipc_send(fds[0], &header, span_of(&good, sizeof(good))));
    client_readable(t.client, t.now_ms);
    assert_int_equal(client_fd(t.client), -1);
    assert_int_equal(client_status(t.client)->phase, IPC_PHASE_STARTING);
    (void)close(fds[0]);
}

static void test_readable_process_that_never_stops_is_left_for_later(void **state)
{
    (void)state;
    int fds[2];
    struct ipc_header hello = {.verb = IPC_HELLO};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    client_attach(t.client, fds[1], t.now_ms);
    assert_ok(ipc_send(fds[0], &hello, span_of_text(P11KMS_BUILD_ID)));
    t.flood_fd = fds[0];
    send_status(t.flood_fd);
    client_readable(t.client, t.now_ms);
    assert_in_range(t.statuses, 1000, 2000);
    client_readable(t.client, t.now_ms);
    assert_in_range(t.statuses, 2000, 4000);
    t.flood_fd = 0;
    (void)close(fds[0]);
}

static void test_attach_replaces_and_closes_the_older_socket(void **state)
{
    (void)state;
    int older[2];
    uint8_t sink[1024];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, older), 0);
    client_attach(t.client, older[1], t.now_ms);
    connect_token();
    ssize_t got = 1;
    while (got > 0) { /* HELLO and the first ping, then the end */
        got = recv(older[0], sink, sizeof(sink), 0);
    }
    assert_int_equal(got, 0);
    (void)close(older[0]);
    call(IPC_RANDOM, CLIENT_LIVE, 1);
    settle();
    assert_answer(1, E_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKEN(test_list_is_delivered_whole),
        WITH_TOKEN(test_list_1024_keys_pass_and_1025_fail),
        WITH_TOKEN(test_list_broken_by_death_fails),
        WITH_TOKEN(test_list_key_missing_from_the_count_detaches),
        WITH_TOKEN(test_generate_gives_the_new_key),
        WITH_TOKEN(test_outcomes_have_their_errors),
        WITH_TOKEN(test_ping_every_two_seconds),
        WITH_TOKEN(test_hung_is_said_every_ten_seconds),
        WITH_TOKEN(test_hung_owner_that_slept_finds_the_answer),
        WITH_TOKEN(test_hung_process_that_never_says_hello),
        WITH_TOKEN(test_hello_of_another_build_detaches),
        WITH_TOKEN(test_bad_frame_detaches_and_calls_live_on),
        WITH_TOKEN(test_forged_replies_detach),
        WITH_TOKEN(test_reply_before_hello_detaches),
        WITH_TOKEN(test_readable_process_that_never_stops_is_left_for_later),
        WITH_TOKEN(test_attach_replaces_and_closes_the_older_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
