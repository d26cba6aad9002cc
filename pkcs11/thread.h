/* thread: the threads of the token process. None is waited for: the process ends by _exit. */
#ifndef PKCS11_THREAD_H
#define PKCS11_THREAD_H

#include "base/err.h"

/*
 * Starts a detached thread with the caller's signal mask. E_SYSTEM: there is no room for one more.
 */
MUST_USE err_t thread_start(void *(*run)(void *), void *arg);

#endif
