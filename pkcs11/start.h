/*
 * start: the thread that brings the token up: load, initialise, find, log in, open sessions. What
 * is not there yet is tried again every 2 s with a fresh C_Initialize; a refused PIN is waited out.
 */
#ifndef PKCS11_START_H
#define PKCS11_START_H

#include "base/config.h"
#include "base/err.h"

/* config must outlive the process's threads. Once. */
MUST_USE err_t start_run(const struct config *config);
/*
 * The process is about to end: no login is begun any more, and one that runs has what is left of
 * start_timeout to end and to have its answer written down. A wrong PIN of which nobody knows would
 * be tried again, and a good one come into doubt.
 */
void start_end_logins(void);
/* After the workers stopped: C_Finalize, when the token was up. */
void start_undo(void);

#endif
