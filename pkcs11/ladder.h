/*
 * ladder: what is tried against a failure before the client is told of it: a new session, another
 * try, pauses between the tries. Which failures are worth that differs by what is asked, and is
 * data; the way up is one. A fresh process, the last rung, is in lost.h.
 */
#ifndef PKCS11_LADDER_H
#define PKCS11_LADDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pkcs11/rv.h"
#include "pkcs11/session.h"

/* The failures in a set: of E_TOKEN by class, and two that are ours. */
#define LADDER_ON(class_)     (1u << (class_))
#define LADDER_ON_LIE         (1u << 16) /* E_PROTOCOL */
#define LADDER_ON_UNSUPPORTED (1u << 17) /* E_UNSUPPORTED */

struct ladder {
    uint32_t renew; /* another try, in a new session */
    uint32_t again; /* another try, in the same session */
    bool patient; /* as long as there is time, further and further apart; else one more, at once */
};

struct climb {
    const struct ladder *ladder;
    int64_t deadline_ms;                                  /* CLOCK_MONOTONIC; of a patient ladder */
    err_t (*attempt)(struct session *session, void *ctx); /* the session is open */
    /*
     * After a failure that is worth another try: OK, or the verdict that ends it. NULL: none. May
     * renew the session.
     */
    err_t (*judge)(struct session *session, void *ctx, err_t err);
    /* What it is when the time is over; NULL: what the last try ended in. */
    err_t (*expire)(void *ctx, err_t err);
    void *ctx;
};

/* OK, or what the last try ended in, or as judge and expire say. Opens a session that is not open.
 */
MUST_USE err_t ladder_climb(struct session *session, const struct climb *climb);

#endif
