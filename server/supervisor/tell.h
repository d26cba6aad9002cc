/*
 * tell: what their keeper says to the roles. A role that is not there, or does not read, is not
 * told.
 */
#ifndef SERVER_SUPERVISOR_TELL_H
#define SERVER_SUPERVISOR_TELL_H

#include "server/supervisor/supervisor.h"

/* fd -1: none; it stays the caller's. */
void tell_role(const struct keeping *role, enum role_kind kind, int fd);
/* The same with a text, which is cut to its room. */
void tell_role_text(const struct keeping *role, enum role_kind kind, const char *text);

#endif
