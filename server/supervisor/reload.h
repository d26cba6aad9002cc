/* reload: SIGHUP. The new configuration is used whole or not at all. */
#ifndef SERVER_SUPERVISOR_RELOAD_H
#define SERVER_SUPERVISOR_RELOAD_H

#include "server/supervisor/supervisor.h"

/*
 * Reads it again, checks it and tells the roles; when it is refused, says why and keeps the old
 * one.
 */
void reload(struct supervisor *supervisor);

#endif
