/*
 * role_confine: what a role gives up once it is built. role_start is before all else and must leave
 * what the building needs; this comes when the front has its sockets and the token process its
 * module, before the first request of a peer. A filter of calls or paths of one role (seccomp,
 * Landlock) is a function here, in its row of base/role_table.h.
 */
#ifndef BASE_ROLE_CONFINE_H
#define BASE_ROLE_CONFINE_H

#include "base/err.h"
#include "base/role_table.h"

/* By the role's row; for the calling thread and those that it starts. May be called again. */
MUST_USE err_t role_confine(enum role_id id);

/*
 * Of every role: dumps are forbidden and capabilities given up once more, for a vendor's module may
 * have undone it since. E_DENIED: this process can become another user, or get new rights by
 * running a program.
 */
MUST_USE err_t role_confine_basics(void);

#endif
