/*
 * front: what the files of this room share. There is one in the process, on one thread; main builds
 * it and takes it down.
 */
#ifndef SERVER_FRONT_FRONT_H
#define SERVER_FRONT_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "server/front/files.h"
#include "server/kms/kms.h"
#include "server/net/loop.h"
#include "server/net/net.h"

struct front {
    struct config config;
    struct loop *loop;
    struct loop_poll *control_poll;
    struct loop_poll *token_poll;
    int64_t token; /* the keeper's name for the token process */
    int token_fd;  /* our own descriptor of the token socket: the client may close its any time */
    struct loop_timer *timer;
    struct loop_turn *turn;
    struct service *service;
    int service_fd; /* where clients come in */
    struct net *net;
    struct files files;
    bool prepared; /* what this system must grant, it has granted */
    bool ends;     /* the keeper is gone, or all is drained */
};

/* From now on nothing more is done: the loop stops. */
void front_end(struct front *front);
/* The peers that the config allows. */
void front_apply_uids(struct front *front);

#endif
