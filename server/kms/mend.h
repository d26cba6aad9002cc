/*
 * mend: what an operator should do, as one plain sentence. It is the text of Status, of the state
 * file and of the log. No secret, no handle, no path of key material.
 */
#ifndef SERVER_KMS_MEND_H
#define SERVER_KMS_MEND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "token/ipc.h"
#include "server/health/health.h"
#include "server/rotation/rotation.h"

#define MEND_MAX 400u

struct mend_facts {
    const struct config *config;
    const struct ipc_status *token;
    const struct rotation_view *view;
    enum health_state state;
    /* "KEK <kek_id> (CKA_LOCAL)": a key of the ring that may not seal; or empty */
    const char *refused;
    const char *unread;  /* a key of the ring that cannot be read, or that may be of it; or empty */
    /* why the state folder takes nothing, and what to do; empty or NULL: it does */
    const char *storing;
};

/* Empty when nothing is to be done. */
void mend_text(const struct mend_facts *facts, char *ret_text, size_t size);

/*
 * What goes wrong while the state is OK: nothing that an API server need be told, but its operator.
 */
struct mend_ailments {
    bool seed_outlived;     /* what seals is past seed_life, though the KEK is proven */
    bool listing_outlived;  /* no listing has been complete for MEND_LISTING_MS */
    const char *limit;      /* a bound that bites, in words; NULL none */
};

#define MEND_LISTING_MS 60000

/* Empty when there is none. For the log, the state file and the service manager. */
void mend_ailment(const struct mend_facts *facts, const struct mend_ailments *ailments,
                  char *ret_text, size_t size);

#endif
