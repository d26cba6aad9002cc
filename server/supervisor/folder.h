/*
 * folder: the state folder by its path. Its descriptor and its lock are held for a whole life, in
 * which the folder may be removed, moved or made again; so before each use, and every few seconds,
 * it is looked up. A new one is made or taken only with its lock in our hands: never do two daemons
 * write one folder.
 */
#ifndef SERVER_SUPERVISOR_FOLDER_H
#define SERVER_SUPERVISOR_FOLDER_H

#include "server/supervisor/supervisor.h"

#define FOLDER_LOOK_MS 5000

/* OK: supervisor->state may be used. Else why not; the front has been told, and the log. */
MUST_USE err_t folder_ready(struct supervisor *supervisor);
/* folder_ready when it is due, at supervisor->folder_ms. */
void folder_tick(struct supervisor *supervisor, int64_t now_ms);

#endif
