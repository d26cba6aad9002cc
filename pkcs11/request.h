/*
 * request: a frame of a client, decoded once. What does not fit its verb to the byte comes from a
 * client that is not of our build.
 */
#ifndef PKCS11_REQUEST_H
#define PKCS11_REQUEST_H

#include <p11-kit/pkcs11.h> /* ahead of ipc.h: to it aad_len is a macro */
#include <stdbool.h>

#include "base/span.h"
#include "token/ipc.h"

struct request {
    struct ipc_header header;
    union {
        struct ipc_list list;
        struct ipc_generate generate;
        struct ipc_crypt crypt;
        struct ipc_random random;
    } ask;            /* which one the verb tells */
    struct span data; /* to wrap or unwrap; borrows from the frame */
};

/* Each sets its ask, and leaves the header alone. False: it does not fit. */
bool request_list(struct span payload, struct request *ret_request);
bool request_generate(struct span payload, struct request *ret_request);
bool request_crypt(struct span payload, struct request *ret_request);
bool request_random(struct span payload, struct request *ret_request);
bool request_empty(struct span payload, struct request *ret_request);

#endif
