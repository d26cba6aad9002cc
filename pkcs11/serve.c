#define _GNU_SOURCE
#include "pkcs11/serve.h"

#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/role.h"
#include "base/secret.h"
#include "pkcs11/crypt.h"
#include "pkcs11/generate.h"
#include "pkcs11/lie.h"
#include "pkcs11/list.h"
#include "pkcs11/lost.h"
#include "pkcs11/peer.h"
#include "pkcs11/rv.h"
#include "pkcs11/status.h"

/* longer than a hung front lives: its keeper replaces it, and us it leaves alone */
#define SEND_WAIT_MS  30000
#define RANDOM_MAX    256u
#define OUT_BYTES     SECRET_2KIB_BYTES
#define RANDOM_SURE   16u /* so many zeros are no chance */
#define OUTAGES_MAX   3u /* calls in a row that came to nothing */

static bool ends(const char *text, size_t room)
{
    return memchr(text, '\0', room) != NULL;
}

static bool ref_fits(const struct ipc_key_ref *ref)
{
    return ref->id_len >= 1 && ref->id_len <= IPC_ID_MAX &&
           ref->fingerprint_len <= IPC_FINGERPRINT_MAX;
}

static bool crypt_fits(struct span payload)
{
    struct ipc_crypt ask;
    if (payload.len < sizeof(ask)) {
        return false;
    }
    span_move(&ask, payload.ptr, sizeof(ask));
    return ref_fits(&ask.key) && ask.aad_len <= IPC_AAD_MAX && ask.data_len > 0 &&
           payload.len == sizeof(ask) + ask.data_len;
}

static bool list_fits(struct span payload)
{
    struct ipc_list ask;
    if (payload.len != sizeof(ask)) {
        return false;
    }
    span_move(&ask, payload.ptr, sizeof(ask));
    return ends(ask.ring, sizeof(ask.ring)) && (ask.has_serving == 0 || ref_fits(&ask.serving));
}

static bool generate_fits(struct span payload)
{
    struct ipc_generate ask;
    if (payload.len != sizeof(ask)) {
        return false;
    }
    span_move(&ask, payload.ptr, sizeof(ask));
    return ends(ask.ring, sizeof(ask.ring)) && ask.ring[0] != '\0' &&
           ask.limit_s <= IPC_GENERATE_MAX_S;
}

static bool random_fits(struct span payload)
{
    struct ipc_random ask;
    if (payload.len != sizeof(ask)) {
        return false;
    }
    span_move(&ask, payload.ptr, sizeof(ask));
    return ask.n >= 1 && ask.n <= RANDOM_MAX;
}

bool serve_fits(const struct ipc_header *header, struct span payload)
{
    switch (header->verb) {
    case IPC_LIST: return list_fits(payload);
    case IPC_GENERATE: return generate_fits(payload);
    case IPC_WRAP:
    case IPC_UNWRAP: return crypt_fits(payload);
    case IPC_RANDOM: return random_fits(payload);
    case IPC_PROBE: return payload.len == 0;
    default: return false;
    }
}

void serve_send(unsigned peer, struct ipc_header *header, struct span payload)
{
    int64_t until_ms = clock_mono_ms() + SEND_WAIT_MS;
    for (;;) {
        err_t err = peer_send(peer, header, payload);
        if (err.code != E_UNAVAILABLE) {
            return; /* sent, or the client is gone, which the main loop sees */
        }
        if (clock_mono_ms() > until_ms) {
            log_event(EVENT_TOKEN_CLIENT_STUCK, LOG_ERR(err));
            _exit(TOKEN_EXIT_PROTOCOL);
        }
        struct pollfd writable = {.fd = ROLE_FD_SERVICE, .events = POLLOUT};
        (void)poll(&writable, 1, 100);
    }
}

static enum ipc_outcome outcome_of(err_t err)
{
    switch (err.code) {
    case E_NONE: return IPC_OK;
    case E_INVALID:
    case E_CRYPTO: return IPC_DATA;
    case E_NOT_FOUND: return IPC_NO_KEY;
    case E_LIMIT: return IPC_BUSY;
    case E_DEADLINE: return IPC_EXPIRED;
    case E_STATE: return IPC_NOTICE;
    case E_UNSUPPORTED: return err.detail != 0 ? IPC_LACKS : IPC_REFUSED; /* see mechanism.h */
    case E_TOKEN: break;
    case E_UNAVAILABLE:
    case E_DENIED:
    case E_PROTOCOL:
    case E_SYSTEM:
    case E_BUG: return IPC_UNAVAILABLE;
    }
    enum rv_class class = rv_class(err.detail);
    if (class == RV_BUSY) {
        return IPC_BUSY;
    }
    return class == RV_FAULT || class == RV_DATA ? IPC_REFUSED : IPC_UNAVAILABLE;
}

static void reply(unsigned peer, const struct ipc_header *request, enum ipc_verb verb, err_t err,
                  struct span payload)
{
    bool has_rv = err.code == E_TOKEN || err.code == E_INVALID || err.code == E_UNSUPPORTED ||
                  err.code == E_UNAVAILABLE;
    struct ipc_header header = {.verb = (uint16_t)verb,
                                .flags = IPC_REPLY,
                                .call = request->call,
                                .outcome = (uint32_t)outcome_of(err),
                                .rv = has_rv ? err.detail : 0};
    serve_send(peer, &header, failed(err) ? span_of(NULL, 0) : payload);
}

void serve_refuse(unsigned peer, const struct ipc_header *header, enum ipc_outcome outcome)
{
    struct ipc_header answer = {.verb = header->verb,
                                .flags = IPC_REPLY,
                                .call = header->call,
                                .outcome = (uint32_t)outcome};
    serve_send(peer, &answer, span_of(NULL, 0));
}

static err_t serve_list(struct session *session, unsigned peer, const struct ipc_header *header,
                        struct span payload)
{
    struct ipc_list ask;
    struct listing listing = {0};
    span_move(&ask, payload.ptr, sizeof(ask));
    err_t err = list_keys(session, &ask, &listing);
    if (rv_class_of(err) == RV_SESSION || rv_class_of(err) == RV_HANDLE) {
        err = session_renew(session);
        err = failed(err) ? err : list_keys(session, &ask, &listing);
    }
    if (failed(err)) {
        reply(peer, header, IPC_LIST, err, span_of(NULL, 0));
        return err;
    }
    struct ipc_list_end end = {.count = (uint32_t)listing.n};
    for (size_t i = 0; i < listing.n; i++) {
        reply(peer, header, IPC_LIST, OK, span_of(&listing.keys[i], sizeof(listing.keys[i])));
    }
    reply(peer, header, IPC_LIST_END, OK, span_of(&end, sizeof(end)));
    listing_free(&listing);
    return OK;
}

static err_t serve_generate(struct session *session, unsigned peer, const struct ipc_header *header,
                            struct span payload)
{
    struct ipc_generate ask;
    struct ipc_key key = {0};
    span_move(&ask, payload.ptr, sizeof(ask));
    err_t err = generate_key(session, &ask, &key);
    if (failed(err) && err.code != E_STATE) {
        log_event(EVENT_TOKEN_GENERATE_FAILED, LOG_ERR(err));
    }
    reply(peer, header, IPC_GENERATE, err, span_of(&key, sizeof(key)));
    return err;
}

static err_t serve_crypt(struct session *session, unsigned peer, const struct ipc_header *header,
                         struct span payload, int64_t deadline_ms, struct span_mut out)
{
    struct ipc_crypt ask;
    size_t len = 0;
    span_move(&ask, payload.ptr, sizeof(ask));
    struct span data = span_part(payload, sizeof(ask), ask.data_len);
    err_t err = crypt_do(session, (enum ipc_verb)header->verb, &ask, data, deadline_ms, out, &len);
    reply(peer, header, (enum ipc_verb)header->verb, err, span_of(out.ptr, len));
    return err;
}

static err_t random_once(const struct session *session, struct span_mut out, size_t n)
{
    status_count_call();
    RV_TRY(P11(session->module, C_GenerateRandom, session->handle, out.ptr, n), "C_GenerateRandom");
    size_t zeros = 0;
    while (zeros < n && out.ptr[zeros] == 0) {
        zeros++;
    }
    if (zeros == n && n >= RANDOM_SURE) {
        return LIE("C_GenerateRandom gave zeros only", n);
    }
    return OK;
}

static err_t serve_random(struct session *session, unsigned peer, const struct ipc_header *header,
                          struct span payload, struct span_mut out)
{
    struct ipc_random ask;
    span_move(&ask, payload.ptr, sizeof(ask));
    err_t err = random_once(session, out, ask.n);
    if (rv_class_of(err) == RV_SESSION || rv_may_pass(err)) {
        err = session_renew(session);
        err = failed(err) ? err : random_once(session, out, ask.n);
    }
    reply(peer, header, IPC_RANDOM, err, span_of(out.ptr, ask.n));
    return err;
}

static err_t dispatch(struct session *session, unsigned peer, const struct ipc_header *header,
                      struct span payload, int64_t deadline_ms, struct span_mut out)
{
    switch (header->verb) {
    case IPC_LIST: return serve_list(session, peer, header, payload);
    case IPC_GENERATE: return serve_generate(session, peer, header, payload);
    case IPC_RANDOM: return serve_random(session, peer, header, payload, out);
    default: return serve_crypt(session, peer, header, payload, deadline_ms, out);
    }
}

/* A fresh process is the only cure for a token that is gone, and for errors that go on. */
static void judge(const struct session *session, err_t err)
{
    static atomic_uint outages;
    enum rv_class class = rv_class_of(err);
    if (class == RV_LOST) {
        token_lost("the module says so", err);
    }
    if (class != RV_OUTAGE && class != RV_HANDLE && class != RV_SESSION) {
        atomic_store(&outages, 0);
        return;
    }
    CK_FLAGS flags;
    err_t alive = find_token_patiently(session->module, session->token, &flags);
    if (failed(alive)) {
        token_lost("the token does not answer", alive);
    }
    if (atomic_fetch_add(&outages, 1) + 1 >= OUTAGES_MAX) {
        token_lost("errors go on", err);
    }
}

void serve_request(struct session *session, unsigned peer, const struct ipc_header *header,
                   struct span payload, int64_t deadline_ms)
{
    CLEANUP(secret_free_p) struct secret *out = NULL;
    if (clock_mono_ms() >= deadline_ms || peer != peer_now()) {
        serve_refuse(peer, header, IPC_EXPIRED);
        return;
    }
    if (failed(secret_new(SECRET_2KIB, OUT_BYTES, &out))) {
        serve_refuse(peer, header, IPC_BUSY);
        return;
    }
    judge(session, dispatch(session, peer, header, payload, deadline_ms, secret_room(out)));
}
