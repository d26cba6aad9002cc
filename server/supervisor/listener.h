/*
 * listener: the listening socket, kept for the whole life of the supervisor, so that a front that
 * is restarted costs a waiting client nothing. It is adopted from the service manager (socket
 * activation) or made here: at a path in a folder that nobody else can write, or in the abstract
 * namespace ("@name").
 */
#ifndef SERVER_SUPERVISOR_LISTENER_H
#define SERVER_SUPERVISOR_LISTENER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/config.h"
#include "base/err.h"
#include "server/supervisor/problem.h"

#define LISTENER_BACKLOG 128
/* an orphaned front on its way out may still accept for this long */
#define LISTENER_PATIENCE_MS 2000

struct listener {
    int fd;
    int folder_fd; /* -1: nothing to remove at the end */
    char name[108];
    bool passed;  /* by the service manager */
    dev_t device; /* which socket file is ours; inode 0: an abstract name, which has none */
    ino_t inode;
};

/*
 * Adopts the socket of LISTEN_FDS if there is one, else makes it. Call with the instance lock held.
 */
MUST_USE err_t listener_open(const struct config_listen *config, struct listener *ret_listener,
                             struct problem *problem);
/*
 * Whether clients that go to the configured place still come to this socket: its file may have been
 * removed or replaced, and its folder too.
 */
bool listener_is_there(const struct config_listen *config, const struct listener *listener);
/*
 * Makes the socket anew in the same place, and its folder if that is gone; who waits in the old
 * one's queue is left there until it is closed. Never takes the place of another process that
 * listens, and waits for none. Not for a passed one.
 */
MUST_USE err_t listener_bind_again(const struct config_listen *config, struct listener *listener,
                                   struct problem *problem);
/* Removes the socket file if it is still ours, and closes. */
void listener_close(struct listener *listener);

/* E_NOT_FOUND when the service manager passed none. */
MUST_USE err_t listener_adopt(const struct config_listen *config, struct listener *ret_listener,
                              struct problem *problem);
/*
 * Ends every connection that waits in a passed and not adopted socket. The service manager starts
 * us for whoever waits, so one who waits on while we exit would have us started without end; he may
 * come again.
 */
void listener_turn_away(void);
/* The same for one listening descriptor. False when its queue cannot be read. */
bool listener_turn_away_from(int fd);
/* patience_ms: how long one who listens there may take to go. */
MUST_USE err_t listener_bind_path(const struct config_listen *config, int64_t patience_ms,
                                  struct listener *ret_listener, struct problem *problem);

#endif
