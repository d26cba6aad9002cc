/*
 * listener: the listening socket, kept for the whole life of the supervisor, so that a front that is
 * restarted costs a waiting client nothing. It is adopted from the service manager (socket activation) or
 * made here: at a path in a folder that nobody else can write, or in the abstract namespace ("@name").
 */
#ifndef SERVER_SUPERVISOR_LISTENER_H
#define SERVER_SUPERVISOR_LISTENER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/config.h"
#include "base/err.h"
#include "server/supervisor/problem.h"

#define LISTENER_BACKLOG 128
#define LISTENER_PATIENCE_MS 2000 /* an orphaned front on its way out may still accept for this long */

struct listener {
    int fd;
    int folder_fd; /* -1: nothing to remove at the end */
    char name[108];
    dev_t device; /* which socket file is ours */
    ino_t inode;
};

/* Adopts the socket of LISTEN_FDS if there is one, else makes it. Call with the instance lock held. */
MUST_USE err_t listener_open(const struct config_listen *config, struct listener *ret_listener,
                             struct problem *problem);
/* Removes the socket file if it is still ours, and closes. */
void listener_close(struct listener *listener);

/* E_NOT_FOUND when the service manager passed none. */
MUST_USE err_t listener_adopt(const struct config_listen *config, struct listener *ret_listener,
                              struct problem *problem);
/*
 * Ends every connection that waits in a passed and not adopted socket. The service manager starts us for
 * whoever waits, so one who waits on while we exit would have us started without end; he may come again.
 */
void listener_turn_away(void);
/* The same for one listening descriptor. False when its queue cannot be read. */
bool listener_turn_away_from(int fd);
MUST_USE err_t listener_bind_path(const struct config_listen *config, struct listener *ret_listener,
                                  struct problem *problem);

#endif
