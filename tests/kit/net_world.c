#include "tests/kit/net_world.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(bool promise)
{
    if (!promise) {
        abort();
    }
}

/* Abstract, so that nothing is left in the file system. */
static int listen_abstract(struct net_world *world)
{
    static int made;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    world->addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(world->addr.sun_path + 1, 64, "p11kms-net-test-%d-%d", getpid(), made++);
    world->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    must(bind(fd, (const struct sockaddr *)&world->addr, world->addr_len) == 0);
    must(listen(fd, 128) == 0);
    return fd;
}

static void on_full(void *ctx)
{
    struct net_world *world = ctx;
    world->full++;
}

struct net_world *net_world_new(void)
{
    struct net_world *world = calloc(1, sizeof(*world));
    must(world != NULL && !failed(secret_init(&secret_budget_front)));
    world->listen_fd = listen_abstract(world);
    must(!failed(loop_new(&world->loop)));
    const struct net_events events = {world, on_full};
    must(!failed(net_new(world->loop, world->listen_fd, &world->service, &events, &world->net)));
    uint32_t own = getuid();
    net_set_allowed_uids(world->net, &own, 1);
    return world;
}

void net_world_listen(struct net_world *world)
{
    world->listen_fd = listen_abstract(world);
}

bool net_world_free(struct net_world *world)
{
    net_free(world->net);
    loop_free(world->loop);
    (void)close(world->listen_fd);
    bool clean = world->service.pending_n == 0 && secret_free_space_is_zero();
    for (int part = 0; part < SECRET_PARTS; part++) {
        clean = clean && secret_in_use((enum secret_part)part) == 0;
    }
    secret_done();
    free(world);
    return clean;
}

void net_world_turn(struct net_world *world)
{
    for (int i = 0; i < 4; i++) {
        loop_run_once(world->loop, false);
    }
}

struct net_client *net_client_new(struct net_world *world)
{
    struct net_client *client = calloc(1, sizeof(*client));
    must(client != NULL);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    client->peer = wire_peer_new();
    must(connect(client->fd, (const struct sockaddr *)&world->addr, world->addr_len) == 0);
    wire_open(&client->to_send);
    return client;
}

void net_client_free(struct net_client *client)
{
    (void)close(client->fd);
    wire_peer_free(client->peer);
    free(client);
}

void net_client_read(struct net_client *client)
{
    uint8_t buf[4096];
    ssize_t n = 0;
    while ((n = recv(client->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
        wire_peer_read(client->peer, span_of(buf, (size_t)n));
    }
    client->eof = client->eof || n == 0 || (n < 0 && errno == ECONNRESET);
}

void net_client_run(struct net_world *world, struct net_client *client)
{
    struct span bytes = wire_bytes(&client->to_send);
    ssize_t n = send(client->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    must(n < 0 || (size_t)n == bytes.len);
    client->to_send.len = 0;
    for (int i = 0; i < 8; i++) {
        net_world_turn(world);
        net_client_read(client);
    }
}
