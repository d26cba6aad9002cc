/*
 * status: what a ping is answered with. Set by the starter and the workers, read by the main loop;
 * thread safe. A change of phase or text is logged once, whoever sets it and however often.
 */
#ifndef PKCS11_STATUS_H
#define PKCS11_STATUS_H

#include <stddef.h>

#include "token/ipc.h"

struct token;

/* `text` is the mend, empty when ready; cut to the room there is. */
void status_set(enum ipc_phase phase, const char *text);
void status_set_token(const struct token *token);
void status_count_login(void);
void status_count_call(void);
void status_get(struct ipc_status *ret_status);
enum ipc_phase status_phase(void);

/* From now on each change of phase or text is told the peer at once, not only at the next ping. */
void status_announce(void);

#endif
