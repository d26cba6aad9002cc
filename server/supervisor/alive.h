/*
 * alive: the word to the service manager that the supervisor works. It is said where work is done
 * and nowhere else: a supervisor that hangs must not look alive.
 */
#ifndef SERVER_SUPERVISOR_ALIVE_H
#define SERVER_SUPERVISOR_ALIVE_H

#include "server/supervisor/supervisor.h"

/* Says it when it is due, at supervisor->alive_ms. */
void alive_tick(struct supervisor *supervisor, int64_t now_ms);

#endif
