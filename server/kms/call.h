/*
 * call: one RPC of a client: as grpc hands it to this room (service_call), as this room works on it
 * (call), and as its answer goes back (service_reply). What the token is asked on its behalf is a
 * request (token/client.h).
 */
#ifndef SERVER_KMS_CALL_H
#define SERVER_KMS_CALL_H

#include <stdbool.h>
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

#define CALL_KEY_LEN 32u

enum call_event { CALL_FOR_NOTHING, CALL_FOR_SEED, CALL_FOR_LISTING, CALL_FOR_PROOF };

/* What a call waits for, in a form that tells whether it is that which has happened. */
struct call_wait {
    enum call_event what;
    uint8_t key[CALL_KEY_LEN]; /* CALL_FOR_SEED: that of its name; else zero */
};

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
    uint64_t listing;         /* number of the listing that tells whether its KEK is there; or 0 */
    struct call_wait wait;
};

static inline bool call_waits(const struct call *call)
{
    return call->wait.what != CALL_FOR_NOTHING;
}

static inline bool call_waits_for(const struct call *call, const struct call_wait *wait)
{
    return call->wait.what == wait->what &&
           span_equal(span_of(call->wait.key, CALL_KEY_LEN), span_of(wait->key, CALL_KEY_LEN));
}

/* Of Encrypt and Decrypt: what stands in the envelope. */
static inline uint8_t call_api(const struct call *call)
{
    bool v1 = call->method == CODEC_V1_ENCRYPT || call->method == CODEC_V1_DECRYPT;
    return v1 ? ENVELOPE_V1 : ENVELOPE_V2;
}

#endif
