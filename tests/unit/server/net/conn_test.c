/* One conn on a socketpair whose other end does not read, with the time given by the test. */
#include "server/net/conn.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "server/net/net.h"
#include "tests/kit/rig.h"
#include "tests/kit/unit.h"

#define BYTES(literal_) span_of((literal_), sizeof(literal_) - 1)

struct stage {
    struct service service;
    struct conn_env env;
    struct conn *conn;
    struct wire wire;
    int peer_fd;
    unsigned changes;
};

static void on_change(void *ctx, struct conn *conn)
{
    (void)conn;
    ((struct stage *)ctx)->changes++;
}

static int setup(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    int ends[2];
    assert_ok(secret_init(&secret_budget_front));
    assert_ok(loop_new(&stage->env.loop));
    assert_ok(h2_shared_new(&stage->service, &stage->env.shared));
    assert_ok(secret_new(SECRET_NET, SECRET_NET_BYTES, &stage->env.receive));
    assert_ok(secret_new(SECRET_NET, SECRET_NET_BYTES, &stage->env.send));
    stage->env.on_change = on_change;
    stage->env.ctx = stage;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    stage->peer_fd = ends[1];
    struct ticket ticket = {.conn = 5, .generation = 9};
    assert_ok(conn_open(&stage->env, ends[0], H2_SERVE, ticket, &stage->conn));
    *state = stage;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    conn_close(stage->conn);
    (void)close(stage->peer_fd);
    secret_free(stage->env.receive);
    secret_free(stage->env.send);
    h2_shared_free(stage->env.shared);
    loop_free(stage->env.loop);
    bool clean = secret_in_use(SECRET_NET) == 0 && secret_in_use(SECRET_128KIB) == 0 &&
                 secret_free_space_is_zero();
    secret_done();
    free(stage);
    return clean ? 0 : -1;
}

/* Asks for more answers than the socket takes, with every window open. */
static void ask_too_much(struct stage *stage)
{
    stage->service.mode = FAKE_LARGE;
    stage->service.large = 100000;
    wire_open(&stage->wire);
    wire_settings(&stage->wire, 4, 0x7fffffff);
    wire_window(&stage->wire, 0, 0x7fff0000);
    for (int32_t stream = 1; stream < 16; stream += 2) {
        wire_call(&stage->wire, stream, PATH_DECRYPT, BYTES("x"));
    }
    struct span bytes = wire_bytes(&stage->wire);
    assert_int_equal(send(stage->peer_fd, bytes.ptr, bytes.len, 0), (ssize_t)bytes.len);
    loop_run_once(stage->env.loop, false);
    assert_int_equal(stage->changes, 1);
}

static void test_flush_blocked_peer_keeps_one_block_for_ten_seconds(void **state)
{
    struct stage *stage = *state;
    int64_t now_ms = clock_mono_ms();
    ask_too_much(stage);
    assert_true(conn_flush(stage->conn, now_ms));
    assert_int_equal(secret_in_use(SECRET_NET), 3);
    assert_true(conn_next_ms(stage->conn) <= now_ms + NET_BLOCKED_MS);
    assert_true(conn_flush(stage->conn, now_ms + NET_BLOCKED_MS - 1));
    assert_false(conn_flush(stage->conn, now_ms + NET_BLOCKED_MS));
}

static void test_flush_blocked_peer_is_not_read(void **state)
{
    struct stage *stage = *state;
    ask_too_much(stage);
    assert_true(conn_flush(stage->conn, clock_mono_ms()));
    unsigned calls = stage->service.calls;
    stage->wire.len = 0;
    wire_call(&stage->wire, 101, PATH_DECRYPT, BYTES("x"));
    struct span bytes = wire_bytes(&stage->wire);
    assert_int_equal(send(stage->peer_fd, bytes.ptr, bytes.len, 0), (ssize_t)bytes.len);
    loop_run_once(stage->env.loop, false);
    assert_int_equal(stage->service.calls, calls);
}

static void test_flush_without_a_block_to_keep_lets_the_peer_go(void **state)
{
    struct stage *stage = *state;
    struct secret *others[32] = {NULL};
    size_t n = 0;
    while (!failed(secret_new(SECRET_NET, 1, &others[n]))) {
        n++;
    }
    assert_int_equal(n, 30);
    ask_too_much(stage);
    assert_false(conn_flush(stage->conn, clock_mono_ms()));
    assert_int_equal(secret_view(stage->env.send).len, 0);
    for (size_t i = 0; i < n; i++) {
        secret_free(others[i]);
    }
}

static bool is_zero(struct secret *secret)
{
    struct span_mut room = secret_room(secret);
    size_t i = 0;
    while (i < room.len && room.ptr[i] == 0) {
        i++;
    }
    return secret_view(secret).len == 0 && i == room.len;
}

/*
 * One buffer serves all peers: what was read for one, and written to it, is not there for the next.
 */
static void test_buffers_after_a_call_was_read_and_answered_are_wiped(void **state)
{
    struct stage *stage = *state;
    wire_open(&stage->wire);
    wire_call(&stage->wire, 1, PATH_DECRYPT, BYTES("a very secret payload"));
    struct span bytes = wire_bytes(&stage->wire);
    assert_int_equal(send(stage->peer_fd, bytes.ptr, bytes.len, 0), (ssize_t)bytes.len);
    loop_run_once(stage->env.loop, false);
    assert_int_equal(stage->service.calls, 1);
    assert_true(is_zero(stage->env.receive));
    assert_true(conn_flush(stage->conn, clock_mono_ms()));
    uint8_t buf[4096];
    assert_true(recv(stage->peer_fd, buf, sizeof(buf), 0) > 0);
    assert_true(is_zero(stage->env.send));
}

static void test_flush_after_the_peer_closed_is_the_end(void **state)
{
    struct stage *stage = *state;
    assert_true(conn_flush(stage->conn, clock_mono_ms()));
    (void)close(stage->peer_fd);
    stage->peer_fd = -1;
    loop_run_once(stage->env.loop, false);
    assert_int_equal(stage->changes, 1);
    assert_false(conn_flush(stage->conn, clock_mono_ms()));
}

static void test_abandon_answers_what_waits(void **state)
{
    struct stage *stage = *state;
    stage->service.mode = FAKE_PEND;
    wire_open(&stage->wire);
    wire_call(&stage->wire, 1, PATH_ENCRYPT, BYTES("x"));
    struct span bytes = wire_bytes(&stage->wire);
    assert_int_equal(send(stage->peer_fd, bytes.ptr, bytes.len, 0), (ssize_t)bytes.len);
    loop_run_once(stage->env.loop, false);
    assert_int_equal(stage->service.pending_n, 1);
    conn_abandon(stage->conn, clock_mono_ms());
    assert_int_equal(stage->service.pending_n, 0);
    uint8_t buf[4096];
    ssize_t n = recv(stage->peer_fd, buf, sizeof(buf), 0);
    assert_true(n > 0);
    CLEANUP(wire_peer_free_p) struct wire_peer *peer = wire_peer_new();
    wire_peer_read(peer, span_of(buf, (size_t)n));
    assert_string_equal(wire_peer_answer(peer, 1)->grpc_status, "14");
    assert_int_equal(peer->goaways, 1);
}

#define CONN_TEST(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONN_TEST(test_flush_blocked_peer_keeps_one_block_for_ten_seconds),
        CONN_TEST(test_flush_blocked_peer_is_not_read),
        CONN_TEST(test_flush_without_a_block_to_keep_lets_the_peer_go),
        CONN_TEST(test_buffers_after_a_call_was_read_and_answered_are_wiped),
        CONN_TEST(test_flush_after_the_peer_closed_is_the_end),
        CONN_TEST(test_abandon_answers_what_waits),
    };
    return cmocka_run_group_tests_name("net/conn", tests, NULL, NULL);
}
