/*
 * start: the thread that brings the token up: load, initialise, find, log in, open sessions. What is not
 * there yet is tried again every 2 s with a fresh C_Initialize; a refused PIN is waited out.
 */
#ifndef PKCS11_START_H
#define PKCS11_START_H

#include "base/config.h"
#include "base/err.h"

/* config must outlive the process's threads. Once. */
MUST_USE err_t start_run(const struct config *config);
/* After the workers stopped: C_Finalize, when the token was up. */
void start_undo(void);

#endif
