/*
 * pool: the worker threads, a session each, and the requests that wait for them. Bounded: what does
 * not fit is refused. The main thread submits, the starter opens.
 */
#ifndef PKCS11_POOL_H
#define PKCS11_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/secret.h"
#include "pkcs11/request.h"
#include "pkcs11/session.h"

#define POOL_WORKERS_MAX 64u
#define POOL_WAITING_MAX 64u

/*
 * Opens up to `sessions` sessions and starts their threads; *ret_opened of them (at least 1). Once.
 */
MUST_USE err_t pool_open(const struct module *module, const struct token *token, unsigned sessions,
                         unsigned *ret_opened);
/*
 * A request of this peer, and the frame that it borrows from. Takes the frame when it returns true.
 * False: as many wait as may.
 */
bool pool_submit(unsigned peer, const struct request *request, struct secret *frame);
/* No more work is begun; true when no thread is inside the module within wait_ms. */
bool pool_stop(int wait_ms);

#endif
