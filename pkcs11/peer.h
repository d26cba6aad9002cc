/*
 * peer: the client at the other end of the token socket, whoever that is just now. A front that
 * dies is followed by another on a new socket, and this process, with its login, goes on. Each peer
 * has a number, and what is meant for one that was replaced goes nowhere. The socket lies at
 * ROLE_FD_SERVICE. Thread safe.
 */
#ifndef PKCS11_PEER_H
#define PKCS11_PEER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"
#include "token/ipc.h"

/*
 * Greets the first peer. *ret_news_fd: readable after each replacement, until eight bytes are read.
 * Once.
 */
MUST_USE err_t peer_open(int *ret_news_fd);
/* Takes the descriptor, and greets. */
void peer_replace(int fd);
/* Number of the peer that is there, or was the last; never 0. */
unsigned peer_now(void);

/* As ipc_send; OK, and nothing sent, when this peer was replaced. */
MUST_USE err_t peer_send(unsigned peer, struct ipc_header *header, struct span payload);
/* As ipc_receive; E_UNAVAILABLE when this peer was replaced. */
MUST_USE err_t peer_receive(unsigned peer, struct ipc_header *ret_header, struct span_mut room,
                            struct span *ret_payload);

#endif
