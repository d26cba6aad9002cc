/*
 * lost: the last rung of recovery. What a module shows after it lost its token cannot be believed
 * (it may answer "no such key" for keys that are there), so the process ends before anybody can be
 * told, and its keeper starts a fresh one.
 */
#ifndef PKCS11_LOST_H
#define PKCS11_LOST_H

#include "base/err.h"

enum {
    TOKEN_EXIT_LOST = 75,
    TOKEN_EXIT_HUNG = 76,
    TOKEN_EXIT_PROTOCOL = 77
};

/* Logs one line and ends the process. Any thread. `why` says what was seen. */
_Noreturn void token_lost(const char *why, err_t err);

#endif
