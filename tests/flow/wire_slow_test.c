/*
 * Peers that come and never finish, in real time: others are served at once, and the slow ones lose
 * their connections after five seconds.
 */
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tests/kit/net_world.h"
#include "tests/kit/unit.h"

#define SLOW            (NET_CONNS_MAX - 1)
#define SLOW_MS         5000 /* as long as a peer may take */
#define BYTES(literal_) span_of((literal_), sizeof(literal_) - 1)

/* What each kind of slow peer says before it falls silent. */
static void begin_slowly(struct net_client *client, size_t kind)
{
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    switch (kind % 5) {
    case 0:
        client->to_send.len = 0; /* nothing */
        break;
    case 1:
        client->to_send.len = 5; /* a part of the preface */
        break;
    case 2:
        client->to_send.len = 24; /* the preface without SETTINGS */
        break;
    case 3:
        wire_headers(&client->to_send, 1, 0, &request); /* CONTINUATION to come */
        break;
    default:
        wire_headers(&client->to_send, 1, WIRE_END_HEADERS, &request);
        wire_frame(&client->to_send, WIRE_DATA, 0, 1,
                   BYTES("\0\0\0\0\x09"
                         "abc"));
        break;
    }
}

/*
 * Within a few turns of the loop, whoever else is connected; how long they take is the machine's
 * affair.
 */
static void assert_served_at_once(struct net_world *world, struct net_client *client,
                                  int32_t stream)
{
    wire_call(&client->to_send, stream, PATH_ENCRYPT, BYTES("honest"));
    net_client_run(world, client);
    assert_string_equal(wire_peer_answer(client->peer, stream)->grpc_status, "0");
}

static size_t count_closed(struct net_client **slow)
{
    size_t closed = 0;
    for (size_t i = 0; i < SLOW; i++) {
        net_client_read(slow[i]);
        closed += slow[i]->eof;
    }
    return closed;
}

static void test_slow_peers_hold_up_nobody_and_are_let_go(void **state)
{
    (void)state;
    struct net_world *world = net_world_new();
    struct net_client *honest = net_client_new(world);
    struct net_client *slow[SLOW];
    assert_served_at_once(world, honest, 1);
    int64_t began_ms = clock_mono_ms();
    for (size_t i = 0; i < SLOW; i++) {
        slow[i] = net_client_new(world);
        begin_slowly(slow[i], i);
        net_client_run(world, slow[i]);
    }
    size_t closed = 0;
    for (int32_t stream = 3; closed < SLOW; stream += 2) {
        assert_served_at_once(world, honest, stream);
        closed = count_closed(slow);
        assert_true(closed == 0 || clock_mono_ms() - began_ms >= SLOW_MS);
        (void)poll(NULL, 0, 50);
    }
    assert_string_equal(wire_peer_answer(slow[4]->peer, 1)->grpc_status, "4");
    assert_int_equal(net_connections(world->net), 1);
    assert_served_at_once(world, honest, 1000001);
    for (size_t i = 0; i < SLOW; i++) {
        net_client_free(slow[i]);
    }
    net_client_free(honest);
    assert_true(net_world_free(world));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_peers_hold_up_nobody_and_are_let_go),
    };
    return cmocka_run_group_tests_name("flow/wire_slow", tests, NULL, NULL);
}
