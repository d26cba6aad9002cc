/*
 * mend: what an operator should do, as one plain sentence. It is the text of Status, of the state file
 * and of the log. No secret, no handle, no path of key material.
 */
#ifndef SERVER_KMS_MEND_H
#define SERVER_KMS_MEND_H

#include <stddef.h>

#include "base/config.h"
#include "pkcs11/ipc.h"
#include "server/health/health.h"
#include "server/rotation/rotation.h"

#define MEND_MAX 400u

struct mend_facts {
    const struct config *config;
    const struct ipc_status *token;
    const struct rotation_view *view;
    enum health_state state;
    const char *refused; /* "KEK <kek_id> (CKA_LOCAL)": a key of the ring that may not seal; or empty */
};

/* Empty when nothing is to be done. */
void mend_text(const struct mend_facts *facts, char *ret_text, size_t size);

#endif
