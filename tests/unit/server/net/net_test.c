/* net over real unix sockets, with the loop turned by the test. */
#define _GNU_SOURCE
#include "server/net/net.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/net_world.h"
#include "tests/kit/unit.h"

#define BYTES(literal_) span_of((literal_), sizeof(literal_) - 1)

static int setup(void **state)
{
    *state = net_world_new();
    return 0;
}

static int teardown(void **state)
{
    return net_world_free(*state) ? 0 : -1;
}

static void assert_served(struct net_world *world, struct net_client *client, int32_t stream)
{
    wire_call(&client->to_send, stream, PATH_ENCRYPT, BYTES("x"));
    net_client_run(world, client);
    assert_string_equal(wire_peer_answer(client->peer, stream)->grpc_status, "0");
}

static void test_accept_settings_are_said_before_the_peer_speaks(void **state)
{
    struct net_world *world = *state;
    struct net_client *client = net_client_new(world);
    client->to_send.len = 0;
    net_client_run(world, client);
    assert_true(client->peer->settings_first);
    net_client_free(client);
    net_world_turn(world);
    assert_int_equal(net_connections(world->net), 0);
}

static void test_call_is_answered_over_the_socket(void **state)
{
    struct net_world *world = *state;
    struct net_client *client = net_client_new(world);
    for (int32_t stream = 1; stream < 200; stream += 2) {
        assert_served(world, client, stream);
    }
    assert_int_equal(world->service.last.ticket.conn, 0);
    net_client_free(client);
}

static void test_reply_reaches_its_stream_later_and_stale_ones_nobody(void **state)
{
    struct net_world *world = *state;
    world->service.mode = FAKE_PEND;
    struct net_client *client = net_client_new(world);
    wire_call(&client->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    net_client_run(world, client);
    assert_int_equal(world->service.pending_n, 1);
    struct ticket ticket = world->service.pending[--world->service.pending_n];
    struct ticket stale = ticket;
    stale.generation++;
    struct service_reply nobody = fake_service_ok(9); /* told by its length */
    net_reply(world->net, stale, &nobody);
    assert_null(nobody.body);
    struct service_reply reply = fake_service_ok(3);
    net_reply(world->net, ticket, &reply);
    net_client_run(world, client);
    assert_string_equal(wire_peer_answer(client->peer, 1)->grpc_status, "0");
    assert_int_equal(wire_peer_answer(client->peer, 1)->body_len, 8);
    net_client_free(client);
    net_world_turn(world);
    struct service_reply late = fake_service_ok(3);
    net_reply(world->net, ticket, &late);
    assert_null(late.body);
}

static void test_peer_gone_cancels_what_waits(void **state)
{
    struct net_world *world = *state;
    world->service.mode = FAKE_PEND;
    struct net_client *client = net_client_new(world);
    wire_call(&client->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    wire_call(&client->to_send, 3, PATH_ENCRYPT, BYTES("x"));
    net_client_run(world, client);
    assert_int_equal(world->service.pending_n, 2);
    net_client_free(client);
    net_world_turn(world);
    assert_int_equal(world->service.cancels, 2);
    assert_int_equal(net_connections(world->net), 0);
}

static void test_accept_four_refused_at_a_time(void **state)
{
    struct net_world *world = *state;
    net_set_allowed_uids(world->net, NULL, 0);
    struct net_client *clients[NET_DENIED_MAX + 1];
    for (size_t i = 0; i < NET_DENIED_MAX + 1; i++) {
        clients[i] = net_client_new(world);
        net_client_run(world, clients[i]);
        assert_int_equal(clients[i]->eof, i == NET_DENIED_MAX);
    }
    assert_int_equal(net_connections(world->net), NET_DENIED_MAX);
    for (size_t i = 0; i < NET_DENIED_MAX + 1; i++) {
        net_client_free(clients[i]);
    }
}

static void test_peer_that_speaks_no_http2_is_closed_alone(void **state)
{
    struct net_world *world = *state;
    struct net_client *good = net_client_new(world);
    struct net_client *bad = net_client_new(world);
    bad->to_send.len = 0;
    wire_raw(&bad->to_send, BYTES("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_served(world, good, 1);
    net_client_run(world, bad);
    assert_true(bad->eof);
    assert_served(world, good, 3);
    net_client_free(bad);
    net_client_free(good);
}

static void test_peer_that_does_not_read_is_bounded_and_served_when_it_reads(void **state)
{
    struct net_world *world = *state;
    world->service.mode = FAKE_LARGE;
    world->service.large = 100000;
    struct net_client *client = net_client_new(world);
    wire_settings(&client->to_send, 4, 0x7fffffff);
    wire_window(&client->to_send, 0, 0x7fff0000);
    for (int32_t stream = 1; stream < 16; stream += 2) {
        wire_call(&client->to_send, stream, PATH_DECRYPT, BYTES("x"));
    }
    struct span bytes = wire_bytes(&client->to_send);
    assert_int_equal(send(client->fd, bytes.ptr, bytes.len, 0), (ssize_t)bytes.len);
    client->to_send.len = 0;
    for (int i = 0; i < 50; i++) {
        net_world_turn(world);
    }
    assert_int_equal(secret_in_use(SECRET_NET), 3); /* receive, send, and its own block */
    world->service.mode = FAKE_ECHO;
    struct net_client *other = net_client_new(world);
    assert_served(world, other, 1);
    for (int i = 0; i < 200; i++) {
        net_client_run(world, client);
    }
    for (int32_t stream = 1; stream < 16; stream += 2) {
        assert_string_equal(wire_peer_answer(client->peer, stream)->grpc_status, "0");
        assert_int_equal(wire_peer_answer(client->peer, stream)->body_len, 100005);
    }
    assert_int_equal(secret_in_use(SECRET_NET), 2);
    net_client_free(client);
    net_client_free(other);
}

static void test_accept_without_descriptors_is_tried_again(void **state)
{
    struct net_world *world = *state;
    struct net_client *client = net_client_new(world);
    struct rlimit all;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = all.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    net_world_turn(world);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_int_equal(net_connections(world->net), 0);
    loop_run_once(world->loop, true); /* until the retry, a second later */
    assert_served(world, client, 1);
    net_client_free(client);
}

static void on_drained(void *ctx)
{
    ((struct net_world *)ctx)->drained = true;
}

static void test_listen_elsewhere_takes_all_along(void **state)
{
    struct net_world *world = *state;
    struct net_client *stands = net_client_new(world);
    assert_served(world, stands, 1);
    struct net_client *waits = net_client_new(world); /* in the queue of the old one */
    int old_fd = world->listen_fd;
    net_world_listen(world);
    assert_ok(net_listen(world->net, world->listen_fd));
    (void)close(old_fd);
    assert_served(world, stands, 3);
    assert_served(world, waits, 1);
    struct net_client *comes = net_client_new(world);
    assert_served(world, comes, 1);
    net_client_free(stands);
    net_client_free(waits);
    net_client_free(comes);
}

static void test_drain_finishes_what_runs_and_then_says_so(void **state)
{
    struct net_world *world = *state;
    world->service.mode = FAKE_PEND;
    struct net_client *busy = net_client_new(world);
    struct net_client *idle = net_client_new(world);
    wire_call(&busy->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    net_client_run(world, busy);
    net_client_run(world, idle);
    net_drain(world->net, on_drained, world);
    net_client_run(world, busy);
    net_client_run(world, idle);
    assert_int_equal(busy->peer->goaways, 1);
    assert_int_equal(busy->peer->goaway_last, INT32_MAX);
    wire_frame(&busy->to_send, WIRE_PING, WIRE_ACK, 0, span_of(busy->peer->ping, 8));
    wire_frame(&idle->to_send, WIRE_PING, WIRE_ACK, 0, span_of(idle->peer->ping, 8));
    net_client_run(world, busy);
    net_client_run(world, idle);
    assert_int_equal(busy->peer->goaways, 2);
    assert_int_equal(busy->peer->goaway_last, 1);
    assert_true(idle->eof && !busy->eof && !world->drained);
    struct service_reply reply = fake_service_ok(3);
    net_reply(world->net, world->service.pending[--world->service.pending_n], &reply);
    net_client_run(world, busy);
    assert_string_equal(wire_peer_answer(busy->peer, 1)->grpc_status, "0");
    assert_true(busy->eof && world->drained);
    net_client_free(busy);
    net_client_free(idle);
}

/* One that goes makes room, and nobody may come in for it. */
static void test_drain_takes_no_new_peer_when_one_goes(void **state)
{
    struct net_world *world = *state;
    world->service.mode = FAKE_PEND;
    struct net_client *busy = net_client_new(world);
    struct net_client *going = net_client_new(world);
    wire_call(&busy->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    net_client_run(world, busy);
    net_client_run(world, going);
    net_drain(world->net, on_drained, world);
    net_client_free(going);
    net_world_turn(world);
    assert_int_equal(net_connections(world->net), 1);
    struct net_client *late = net_client_new(world);
    net_client_run(world, late);
    assert_int_equal(net_connections(world->net), 1);
    net_client_free(late);
    net_client_free(busy);
    net_world_turn(world);
}

static void test_drain_of_nobody_is_done_at_once(void **state)
{
    struct net_world *world = *state;
    net_drain(world->net, on_drained, world);
    assert_true(world->drained);
}

#define NET_TEST(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(test_accept_settings_are_said_before_the_peer_speaks),
        NET_TEST(test_call_is_answered_over_the_socket),
        NET_TEST(test_reply_reaches_its_stream_later_and_stale_ones_nobody),
        NET_TEST(test_peer_gone_cancels_what_waits),
        NET_TEST(test_accept_four_refused_at_a_time),
        NET_TEST(test_peer_that_speaks_no_http2_is_closed_alone),
        NET_TEST(test_peer_that_does_not_read_is_bounded_and_served_when_it_reads),
        NET_TEST(test_accept_without_descriptors_is_tried_again),
        NET_TEST(test_listen_elsewhere_takes_all_along),
        NET_TEST(test_drain_finishes_what_runs_and_then_says_so),
        NET_TEST(test_drain_takes_no_new_peer_when_one_goes),
        NET_TEST(test_drain_of_nobody_is_done_at_once),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
