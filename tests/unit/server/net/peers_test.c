/* Who is let in, who is sent away, and who must go so that another may come. */
#include "server/net/net.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/net/conn.h"
#include "tests/kit/net_world.h"
#include "tests/kit/unit.h"

#define BYTES(literal_) span_of((literal_), sizeof(literal_) - 1)
#define TIMERS          4u

/* ---- a clock that the test can turn on ---- */

static int64_t now_ms; /* it stands still but for pass() */
static struct {
    struct loop_timer *timer;
    int64_t at_ms;
} timers[TIMERS];

int64_t __wrap_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void)
{
    return now_ms;
}

void __real_loop_timer_at(struct loop_timer *timer, int64_t at_ms);
void __wrap_loop_timer_at(struct loop_timer *timer, int64_t at_ms);
void __wrap_loop_timer_at(struct loop_timer *timer, int64_t at_ms)
{
    size_t i = 0;
    while (timers[i].timer != timer && timers[i].timer != NULL) {
        assert_true(++i < TIMERS);
    }
    timers[i].timer = timer;
    timers[i].at_ms = at_ms;
    __real_loop_timer_at(timer, at_ms);
}

static void pass(struct net_world *world, int64_t ms)
{
    now_ms += ms;
    for (size_t i = 0; i < TIMERS; i++) {
        if (timers[i].timer != NULL && timers[i].at_ms <= now_ms) {
            __real_loop_timer_at(timers[i].timer, 0);
        }
    }
    net_world_turn(world);
}

/* ---- what is logged ---- */

static unsigned refused_lines;
static int64_t suppressed;

void __wrap_log_write(enum log_level level, const char *event, const struct log_field *fields,
                      size_t n);
void __wrap_log_write(enum log_level level, const char *event, const struct log_field *fields,
                      size_t n)
{
    (void)level;
    refused_lines += strcmp(event, "peer-refused") == 0 ? 1 : 0;
    if (n > 0 && strcmp(fields[0].key, "suppressed") == 0) {
        suppressed = fields[0].number;
    }
}

static int setup(void **state)
{
    memset(timers, 0, sizeof(timers));
    now_ms = 1000000;
    refused_lines = 0;
    suppressed = 0;
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

static void fill(struct net_world *world, struct net_client *clients[NET_CONNS_MAX])
{
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        clients[i] = net_client_new(world);
        net_client_run(world, clients[i]);
    }
    assert_int_equal(net_connections(world->net), NET_CONNS_MAX);
    assert_int_equal(world->full, 0); /* all are taken, and nobody waits */
}

static void free_clients(struct net_client *clients[NET_CONNS_MAX])
{
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        net_client_free(clients[i]);
    }
}

static struct net_client *newcomer(struct net_world *world)
{
    struct net_client *client = net_client_new(world);
    wire_call(&client->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    net_client_run(world, client);
    return client;
}

/* None is idle: whoever comes waits until one goes by itself, or has its answer. */
static void test_accept_pauses_while_all_connections_are_busy(void **state)
{
    struct net_world *world = *state;
    struct net_client *clients[NET_CONNS_MAX];
    world->service.mode = FAKE_PEND;
    fill(world, clients);
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        wire_call(&clients[i]->to_send, 1, PATH_ENCRYPT, BYTES("x"));
        net_client_run(world, clients[i]);
    }
    assert_int_equal(world->service.pending_n, NET_CONNS_MAX);
    world->service.mode = FAKE_ECHO;
    struct net_client *last = newcomer(world);
    pass(world, 2000);
    net_client_run(world, last);
    assert_int_equal(last->peer->frames, 0);
    assert_true(world->full > 0);
    assert_int_equal(clients[7]->peer->goaways, 0);
    net_client_free(clients[7]);
    clients[7] = last;
    net_client_run(world, last);
    assert_string_equal(wire_peer_answer(last->peer, 1)->grpc_status, "0");
    free_clients(clients);
}

/* The socket is another one by the time that there is room: who waited at the old one is let in. */
static void test_listen_elsewhere_with_a_full_table_loses_nobody_who_waits(void **state)
{
    struct net_world *world = *state;
    struct net_client *clients[NET_CONNS_MAX];
    fill(world, clients);
    struct net_client *waits = net_client_new(world);
    wire_call(&waits->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    int old_fd = world->listen_fd;
    net_world_listen(world);
    assert_ok(net_listen(world->net, world->listen_fd));
    (void)close(old_fd);
    net_client_free(clients[7]);
    clients[7] = waits;
    net_world_turn(world);
    net_client_run(world, waits);
    assert_string_equal(wire_peer_answer(waits->peer, 1)->grpc_status, "0");
    net_client_free(clients[8]);
    clients[8] = newcomer(world);
    assert_string_equal(wire_peer_answer(clients[8]->peer, 1)->grpc_status, "0");
    free_clients(clients);
}

static void test_accept_asks_the_longest_idle_to_go(void **state)
{
    struct net_world *world = *state;
    struct net_client *clients[NET_CONNS_MAX];
    fill(world, clients);
    pass(world, 5000);
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        if (i != 7) {
            assert_served(world, clients[i], 1);
        }
    }
    struct net_client *last = newcomer(world);
    net_client_read(clients[7]);
    assert_int_equal(clients[7]->peer->goaways, 1);
    pass(world, H2_DRAIN_MS); /* it says nothing to the PING either */
    net_client_read(clients[7]);
    assert_int_equal(clients[7]->peer->goaway_code, 0);
    assert_true(clients[7]->eof);
    net_client_run(world, last);
    assert_string_equal(wire_peer_answer(last->peer, 1)->grpc_status, "0");
    assert_int_equal(net_connections(world->net), NET_CONNS_MAX);
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        if (i != 7) {
            assert_served(world, clients[i], 3);
        }
    }
    net_client_free(last);
    free_clients(clients);
}

static void test_accept_gives_the_young_time_for_their_first_call(void **state)
{
    struct net_world *world = *state;
    struct net_client *clients[NET_CONNS_MAX];
    fill(world, clients);
    struct net_client *last = newcomer(world);
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        net_client_read(clients[i]);
        assert_int_equal(clients[i]->peer->goaways, 0);
    }
    pass(world, H2_YOUNG_MS);
    pass(world, H2_DRAIN_MS);
    net_client_run(world, last);
    assert_string_equal(wire_peer_answer(last->peer, 1)->grpc_status, "0");
    net_client_free(last);
    free_clients(clients);
}

/* Nobody keeps others out by calling all the time either. */
static void test_accept_asks_one_of_those_that_call_without_end(void **state)
{
    struct net_world *world = *state;
    struct net_client *clients[NET_CONNS_MAX];
    fill(world, clients);
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        assert_served(world, clients[i], 1);
    }
    struct net_client *last = newcomer(world);
    pass(world, H2_DRAIN_MS);
    net_client_run(world, last);
    assert_string_equal(wire_peer_answer(last->peer, 1)->grpc_status, "0");
    net_client_free(last);
    free_clients(clients);
}

/*
 * Requests that are begun and never whole hold no place, nor does a peer that stays when asked to
 * go.
 */
static void test_accept_does_not_wait_for_calls_that_never_end(void **state)
{
    struct net_world *world = *state;
    struct net_client *clients[NET_CONNS_MAX];
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    fill(world, clients);
    pass(world, 1500);
    for (size_t i = 0; i < NET_CONNS_MAX; i++) {
        wire_headers(&clients[i]->to_send, 1, WIRE_END_HEADERS, &request);
        net_client_run(world, clients[i]);
    }
    struct net_client *last = newcomer(world);
    pass(world, H2_DRAIN_MS);
    net_client_run(world, last);
    assert_int_equal(last->peer->frames, 0);
    pass(world, CONN_LEAVE_MS - H2_DRAIN_MS);
    net_client_run(world, last);
    assert_string_equal(wire_peer_answer(last->peer, 1)->grpc_status, "0");
    net_client_free(last);
    free_clients(clients);
}

static void test_uid_that_is_no_more_allowed_is_told_once_and_closed(void **state)
{
    struct net_world *world = *state;
    uint32_t other = getuid() + 1;
    net_set_allowed_uids(world->net, &other, 1);
    struct net_client *client = net_client_new(world);
    wire_call(&client->to_send, 1, PATH_ENCRYPT, BYTES("x"));
    net_client_run(world, client);
    assert_string_equal(wire_peer_answer(client->peer, 1)->grpc_status, "7");
    assert_true(client->eof);
    assert_int_equal(world->service.calls, 0);
    assert_int_equal(net_connections(world->net), 0);
    net_client_free(client);
}

/* Taking away is taking away: only what the service has is finished. */
static void test_uid_taken_away_ends_connections_that_stand(void **state)
{
    struct net_world *world = *state;
    uint32_t other = getuid() + 1;
    struct net_client *idle = net_client_new(world);
    assert_served(world, idle, 1);
    struct net_client *busy = net_client_new(world);
    struct wire_request request = wire_request_to(PATH_ENCRYPT);
    wire_headers(&busy->to_send, 1, WIRE_END_HEADERS, &request);
    world->service.mode = FAKE_PEND;
    wire_call(&busy->to_send, 3, PATH_ENCRYPT, BYTES("x"));
    net_client_run(world, busy);
    assert_int_equal(world->service.pending_n, 1);
    net_set_allowed_uids(world->net, &other, 1);
    net_client_run(world, idle);
    assert_int_equal(idle->peer->goaways, 1);
    assert_true(idle->eof);
    wire_message(&busy->to_send, 1, WIRE_END_STREAM, BYTES("x")); /* begun before, whole only now */
    wire_call(&busy->to_send, 5, PATH_ENCRYPT, BYTES("x"));
    net_client_run(world, busy);
    assert_string_equal(wire_peer_answer(busy->peer, 1)->grpc_status, "7");
    assert_int_equal(world->service.calls, 2);
    pass(world, 9000);
    assert_int_equal(net_connections(world->net), 1);
    struct ticket ticket = world->service.pending[--world->service.pending_n];
    struct service_reply reply = fake_service_ok(3);
    net_reply(world->net, ticket, &reply);
    net_client_run(world, busy);
    assert_string_equal(wire_peer_answer(busy->peer, 3)->grpc_status, "0");
    assert_true(busy->eof);
    assert_int_equal(net_connections(world->net), 0);
    net_client_free(idle);
    net_client_free(busy);
}

static void test_uids_that_stay_keep_their_connections(void **state)
{
    struct net_world *world = *state;
    uint32_t uids[] = {getuid() + 1, getuid()};
    struct net_client *client = net_client_new(world);
    assert_served(world, client, 1);
    net_set_allowed_uids(world->net, uids, 2);
    assert_served(world, client, 3);
    assert_int_equal(client->peer->goaways, 0);
    net_client_free(client);
}

/* Anyone may reach an abstract socket, as often as he likes. */
static void test_accept_refused_in_a_loop_fills_no_log_and_is_counted(void **state)
{
    struct net_world *world = *state;
    net_set_allowed_uids(world->net, NULL, 0);
    for (int i = 0; i < 50; i++) {
        struct net_client *client = net_client_new(world);
        net_world_turn(world);
        net_client_free(client);
        net_world_turn(world);
    }
    assert_int_equal(refused_lines, 10);
    pass(world, 10000);
    assert_int_equal(refused_lines, 11);
    assert_int_equal(suppressed, 40);
}

#define PEERS_TEST(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEERS_TEST(test_accept_pauses_while_all_connections_are_busy),
        PEERS_TEST(test_listen_elsewhere_with_a_full_table_loses_nobody_who_waits),
        PEERS_TEST(test_accept_asks_the_longest_idle_to_go),
        PEERS_TEST(test_accept_asks_one_of_those_that_call_without_end),
        PEERS_TEST(test_accept_gives_the_young_time_for_their_first_call),
        PEERS_TEST(test_accept_does_not_wait_for_calls_that_never_end),
        PEERS_TEST(test_uid_that_is_no_more_allowed_is_told_once_and_closed),
        PEERS_TEST(test_uid_taken_away_ends_connections_that_stand),
        PEERS_TEST(test_uids_that_stay_keep_their_connections),
        PEERS_TEST(test_accept_refused_in_a_loop_fills_no_log_and_is_counted),
    };
    return cmocka_run_group_tests_name("net/peers", tests, NULL, NULL);
}
