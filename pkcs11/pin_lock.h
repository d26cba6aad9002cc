/*
 * pin_lock: one login at a time of one token, among all processes of this node. It is held from
 * reading the record to writing what came of the login.
 *
 * All use one file, pin.lock, which our keeper opens for us before anybody knows which token it
 * will be. A login locks the file as a whole, shared, and one byte of it, which stands for the
 * token's serial, alone: a slow login holds up none of another token. Who empties the records
 * (p11-kmsctl pin-retry), and every login of an earlier build, locks the whole alone. Both locks
 * belong to the open file, so each process needs a descriptor that was opened for it.
 */
#ifndef PKCS11_PIN_LOCK_H
#define PKCS11_PIN_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"

/* E_DEADLINE: it was held all the time, or the process is told to end. */
MUST_USE err_t pin_lock_take(int fd, const char *serial, int64_t wait_ms,
                             const atomic_bool *ending);
void pin_lock_release(int fd);

#endif
