/* serve: one request to its reply frames. In a worker thread, which owns the session. */
#ifndef PKCS11_SERVE_H
#define PKCS11_SERVE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"
#include "pkcs11/request.h"
#include "pkcs11/session.h"
#include "token/ipc.h"

/*
 * A frame of a client as what it asks for. False: no request fits it so; a client that sends such
 * is not of our build.
 */
bool serve_decode(const struct ipc_header *header, struct span payload,
                  struct request *ret_request);

/*
 * Does it and replies to the peer that asked; not for IPC_PROBE, which needs no session.
 * deadline_ms: CLOCK_MONOTONIC, after which the module is not called; nor is it for a peer that was
 * replaced.
 */
void serve_request(struct session *session, unsigned peer, const struct request *request,
                   int64_t deadline_ms);

/* An answer without result. Any thread. */
void serve_refuse(unsigned peer, const struct ipc_header *header, enum ipc_outcome outcome);
/*
 * Sends, waiting for a peer that is slow; one that neither reads nor is replaced for 30 s ends the
 * process.
 */
void serve_send(unsigned peer, struct ipc_header *header, struct span payload);

#endif
