/*
 * pin_lock: one login at a time, among all processes of this node. It is held from reading the
 * record to writing what came of the login, and by p11-kmsctl pin-retry.
 */
#ifndef PKCS11_PIN_LOCK_H
#define PKCS11_PIN_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"

/* E_DEADLINE: it was held all the time, or the process is told to end. */
MUST_USE err_t pin_lock_take(int fd, int64_t wait_ms, const atomic_bool *ending);
void pin_lock_release(int fd);

#endif
