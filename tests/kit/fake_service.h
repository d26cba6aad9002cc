/*
 * fake_service: what stands behind grpc in tests of the transport. Answers with the bytes of the
 * request, with an error, or later; counts and remembers what it was asked.
 */
#ifndef TESTS_KIT_FAKE_SERVICE_H
#define TESTS_KIT_FAKE_SERVICE_H

#include "server/kms/service.h"

#define FAKE_SERVICE_PENDING 1024u

enum fake_service_mode {
    FAKE_ECHO,  /* OK with the request's bytes */
    FAKE_ERROR, /* `err` and `text` */
    FAKE_PEND,  /* later, by fake_service_reply; or never */
    FAKE_LARGE, /* OK with `large` bytes */
};

struct service {
    enum fake_service_mode mode;
    err_t err;
    const char *text;
    size_t large;
    unsigned calls;
    unsigned cancels;
    unsigned bites[LIMITS];
    struct service_call last; /* its body is not kept */
    size_t last_len;
    uint8_t last_first; /* byte of the body */
    struct ticket pending[FAKE_SERVICE_PENDING];
    size_t pending_n;
};

/* An answer of `len` bytes 'r'. */
struct service_reply fake_service_ok(size_t len);

#endif
