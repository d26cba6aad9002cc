/*
 * outputs: what this room has to say to the process around it (front/main), beside the answers to
 * calls.
 */
#ifndef SERVER_KMS_OUTPUTS_H
#define SERVER_KMS_OUTPUTS_H

#include <stdbool.h>

#include "base/span.h"
#include "base/state.h"

struct kms_outputs {
    void *ctx;
    /*
     * Keep this as the new content of the state file. Borrowed. False: not now, it is offered
     * again.
     */
    bool (*put_state)(void *ctx, enum state_file file, struct span bytes);
    /* One line for the service manager and for people; when it changes. */
    void (*on_line)(void *ctx, const char *line);
    /* The token process does not answer: have it killed. */
    void (*on_hung)(void *ctx);
};

#endif
