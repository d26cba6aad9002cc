/*
 * watch: whether the socket file is still where clients look for it. A file or folder that was
 * removed or replaced is made anew, and the front gets the new socket; connections that stand are
 * not touched. What cannot be mended here is said once, with what mends it, and tried again.
 */
#ifndef SERVER_SUPERVISOR_WATCH_H
#define SERVER_SUPERVISOR_WATCH_H

#include "server/supervisor/supervisor.h"

#define WATCH_MS 5000

/* Looks, when it is time. */
void watch_tick(struct supervisor *supervisor, int64_t now_ms);

#endif
