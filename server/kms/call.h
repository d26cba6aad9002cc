/*
 * call: one RPC of a client: as grpc hands it to this room (service_call), as this room works on it
 * (call), and as its answer goes back (service_reply). What the token is asked on its behalf is a
 * request (token/client.h).
 */
#ifndef SERVER_KMS_CALL_H
#define SERVER_KMS_CALL_H

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"
#include "base/ticket.h"
#include "keys/envelope.h"
#include "proto/codec.h"

/*
 * How the client addressed us: KMS plugins of Kubernetes ≤ 1.28 are known by it (status_version:
 * auto).
 */
enum service_authority {
    SERVICE_AUTHORITY_OTHER,
    SERVICE_AUTHORITY_PATH,     /* begins with '/' */
    SERVICE_AUTHORITY_ABSTRACT, /* begins with '@' */
};

struct service_call {
    enum codec_method method;
    struct ticket ticket;
    int64_t deadline_ms; /* CLOCK_MONOTONIC; INT64_MAX when the client gave none */
    enum service_authority authority;
    struct span body; /* the protobuf message; borrowed for the time of service_handle */
};

struct service_reply {
    err_t err;            /* E_NONE: body is the message. grpc/status maps the class to a code. */
    char text[200];       /* public text when err is set: no secret, no path of key material */
    struct secret *body;  /* the caller's from now on; NULL when err is set */
};

struct service_events {
    void *ctx;
    /* The answer to a pending call, exactly once unless it was cancelled. Takes reply->body. */
    void (*on_reply)(void *ctx, struct ticket ticket, struct service_reply *reply);
};

#define CALL_UID_LEN 65u

enum call_wait { CALL_FOR_NOTHING, CALL_FOR_SEED, CALL_FOR_LISTING, CALL_FOR_PROOF };

/* A call that was checked, and how far it has come. Borrows its bytes. */
struct call {
    enum codec_method method;
    struct ticket ticket;
    enum service_authority authority;
    /* CLOCK_MONOTONIC: then it is answered without what it waits for */
    int64_t expires_ms;
    char uid[CALL_UID_LEN];   /* for the log: checked, or "-" */
    struct span payload;      /* of Encrypt the plaintext, of Decrypt the envelope */
    struct envelope envelope; /* of Decrypt: its payload, parsed */
    enum call_wait wait;
    uint8_t seed_key[32]; /* CALL_FOR_SEED */
    uint64_t listing;     /* CALL_FOR_LISTING: number of the listing that decides */
};

#endif
