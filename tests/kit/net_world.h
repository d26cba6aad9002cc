/*
 * net_world: the network room on a real unix socket with a fake service behind it, and clients that
 * a test drives by hand. All in one thread: nothing moves but by net_world_turn and net_client_run.
 */
#ifndef TESTS_KIT_NET_WORLD_H
#define TESTS_KIT_NET_WORLD_H

#include <sys/un.h>

#include "server/net/net.h"
#include "tests/kit/rig.h"

struct net_world {
    struct service service;
    struct loop *loop;
    struct net *net;
    int listen_fd;
    struct sockaddr_un addr;
    socklen_t addr_len;
    bool drained;
    unsigned full; /* so often a peer found no room */
};

struct net_client {
    int fd;
    bool eof;
    struct wire to_send; /* begins with the preface and SETTINGS */
    struct wire_peer *peer;
};

/* Maps the arena; our own uid is allowed. */
struct net_world *net_world_new(void);
/* False when something was left in the arena or waiting at the service. */
bool net_world_free(struct net_world *world);
/* Another listening socket takes the place of listen_fd, which is the caller's now. */
void net_world_listen(struct net_world *world);
/* All that can happen now, happens. */
void net_world_turn(struct net_world *world);

struct net_client *net_client_new(struct net_world *world);
void net_client_free(struct net_client *client);
/* Sends what was built, turns the loop, reads what came. */
void net_client_run(struct net_world *world, struct net_client *client);
void net_client_read(struct net_client *client);

#endif
