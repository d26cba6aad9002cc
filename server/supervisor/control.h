/* control: what the roles say to their keeper. */
#ifndef SERVER_SUPERVISOR_CONTROL_H
#define SERVER_SUPERVISOR_CONTROL_H

#include "server/supervisor/supervisor.h"

/* One message of this role. When its socket has closed, the role is given a moment to end. */
void control_readable(struct supervisor *supervisor, struct keeping *role, int64_t now_ms);
/* All that it has said so far: before its end is taken, with which the rest would be lost. */
void control_hear_out(struct supervisor *supervisor, struct keeping *role, int64_t now_ms);

#endif
