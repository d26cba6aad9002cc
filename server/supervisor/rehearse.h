/*
 * rehearse: what the roles will need of this system (memory that can be locked, and calls that a
 * profile may forbid), tried here before anybody is let in. A role that cannot start could only be
 * started again, while clients wait at a socket that nobody serves.
 */
#ifndef SERVER_SUPERVISOR_REHEARSE_H
#define SERVER_SUPERVISOR_REHEARSE_H

#include "base/config.h"
#include "server/supervisor/problem.h"

MUST_USE err_t rehearse(const struct config *config, struct problem *problem);

#endif
