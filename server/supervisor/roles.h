/* roles: starts the role programs, starts them again when they end, and ends those that must. */
#ifndef SERVER_SUPERVISOR_ROLES_H
#define SERVER_SUPERVISOR_ROLES_H

#include "server/supervisor/supervisor.h"

/* Starts what is due, kills what is overdue, and gives the front what it has not got yet. */
void roles_tick(struct supervisor *supervisor, int64_t now_ms);
/* When roles_tick has something to do next; NEVER_MS: nothing. */
int64_t roles_next_ms(const struct supervisor *supervisor);
/*
 * Takes the ends of all children that have ended, each after hear_out: what it still says would be
 * lost.
 */
void roles_reap(struct supervisor *supervisor, int64_t now_ms,
                void (*hear_out)(struct supervisor *supervisor, struct keeping *role,
                                 int64_t now_ms));
/* Closes its control socket, which tells it to end, and kills it if it has not done so by then. */
void roles_end(struct keeping *role, int64_t kill_at_ms);
/* What a token process may take to end when a login is under way: it waits for its answer. */
int64_t roles_login_ms(const struct supervisor *supervisor, const struct keeping *role);
/*
 * Asks it to end, while what it still has to keep is stored; kills it if it has not done so by
 * then.
 */
void roles_stop(struct keeping *role, int64_t kill_at_ms);
void roles_kill(const struct keeping *role, const char *why);

#endif
