#define _GNU_SOURCE
#include "pkcs11/serve.h"

#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/role.h"
#include "base/secret.h"
#include "pkcs11/crypt.h"
#include "pkcs11/generate.h"
#include "pkcs11/ladder.h"
#include "pkcs11/lie.h"
#include "pkcs11/list.h"
#include "pkcs11/lost.h"
#include "pkcs11/peer.h"
#include "pkcs11/rv.h"
#include "pkcs11/status.h"

/* longer than a hung front lives: its keeper replaces it, and us it leaves alone */
#define SEND_WAIT_MS 30000
#define OUT_BYTES    SECRET_2KIB_BYTES
#define RANDOM_SURE  16u /* so many zeros are no chance */
#define OUTAGES_MAX  3u  /* calls in a row that came to nothing */

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
    case E_NONE:
        return IPC_OK;
    case E_INVALID:
    case E_CRYPTO:
        return IPC_DATA;
    case E_NOT_FOUND:
        return IPC_NO_KEY;
    case E_LIMIT:
        return IPC_BUSY;
    case E_DEADLINE:
        return IPC_EXPIRED;
    case E_STATE:
        return IPC_NOTICE;
    case E_UNSUPPORTED:
        return err.detail != 0 ? IPC_LACKS : IPC_REFUSED; /* see mechanism.h */
    case E_TOKEN:
        break;
    case E_UNAVAILABLE:
    case E_DENIED:
    case E_PROTOCOL:
    case E_SYSTEM:
    case E_BUG:
        return IPC_UNAVAILABLE;
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

/* A request in a worker's hands. */
struct work {
    unsigned peer;
    const struct request *request;
    int64_t deadline_ms;
    struct span_mut out; /* room for a result that is secret */
    struct listing listing;
};

static void answer(const struct work *work, err_t err, struct span payload)
{
    const struct ipc_header *header = &work->request->header;
    reply(work->peer, header, (enum ipc_verb)header->verb, err, payload);
}

static err_t list(struct session *session, void *ctx)
{
    struct work *work = ctx;
    return list_keys(session, &work->request->ask.list, &work->listing);
}

static err_t serve_list(struct session *session, struct work *work)
{
    static const struct ladder ladder = {.renew = LADDER_ON(RV_SESSION) | LADDER_ON(RV_HANDLE)};
    const struct climb climb = {.ladder = &ladder, .attempt = list, .ctx = work};
    struct listing *listing = &work->listing;
    err_t err = ladder_climb(session, &climb);
    if (failed(err)) {
        answer(work, err, span_of(NULL, 0));
        return err;
    }
    struct ipc_list_end end = {.count = (uint32_t)listing->n};
    for (size_t i = 0; i < listing->n; i++) {
        answer(work, OK, span_of(&listing->keys[i], sizeof(listing->keys[i])));
    }
    reply(work->peer, &work->request->header, IPC_LIST_END, OK, span_of(&end, sizeof(end)));
    listing_free(listing);
    return OK;
}

/* Once: whoever asks again names the same id, and gets what was made. */
static err_t serve_generate(struct session *session, struct work *work)
{
    struct ipc_key key = {0};
    err_t err = generate_key(session, &work->request->ask.generate, &key);
    if (failed(err) && err.code != E_STATE) {
        log_event(EVENT_TOKEN_GENERATE_FAILED, LOG_ERR(err));
    }
    answer(work, err, span_of(&key, sizeof(key)));
    return err;
}

static err_t serve_crypt(struct session *session, struct work *work)
{
    size_t len = 0;
    err_t err = crypt_do(session, work->request, work->deadline_ms, work->out, &len);
    answer(work, err, span_of(work->out.ptr, len));
    return err;
}

static err_t draw(struct session *session, void *ctx)
{
    const struct work *work = ctx;
    size_t n = work->request->ask.random.n;
    struct span_mut out = work->out;
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

static err_t serve_random(struct session *session, struct work *work)
{
    static const struct ladder ladder = {.renew = LADDER_ON(RV_SESSION) | LADDER_ON(RV_OUTAGE) |
                                                  LADDER_ON(RV_BUSY)};
    const struct climb climb = {.ladder = &ladder, .attempt = draw, .ctx = work};
    err_t err = ladder_climb(session, &climb);
    answer(work, err, span_of(work->out.ptr, work->request->ask.random.n));
    return err;
}

static const struct verb {
    bool (*decode)(struct span payload, struct request *ret_request);
    err_t (*serve)(struct session *session, struct work *work); /* NULL: no work */
} verbs[IPC_VERBS] = {
    [IPC_LIST] = {request_list, serve_list},
    [IPC_GENERATE] = {request_generate, serve_generate},
    [IPC_WRAP] = {request_crypt, serve_crypt},
    [IPC_UNWRAP] = {request_crypt, serve_crypt},
    [IPC_RANDOM] = {request_random, serve_random},
    [IPC_PROBE] = {request_empty, NULL},
};

bool serve_decode(const struct ipc_header *header, struct span payload, struct request *ret_request)
{
    if (header->verb >= IPC_VERBS || verbs[header->verb].decode == NULL) {
        return false;
    }
    *ret_request = (struct request){.header = *header};
    return verbs[header->verb].decode(payload, ret_request);
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

void serve_request(struct session *session, unsigned peer, const struct request *request,
                   int64_t deadline_ms)
{
    CLEANUP(secret_free_p) struct secret *out = NULL;
    struct work work = {.peer = peer, .request = request, .deadline_ms = deadline_ms};
    if (clock_mono_ms() >= deadline_ms || peer != peer_now()) {
        serve_refuse(peer, &request->header, IPC_EXPIRED);
        return;
    }
    if (failed(secret_new(SECRET_2KIB, OUT_BYTES, &out))) {
        serve_refuse(peer, &request->header, IPC_BUSY);
        return;
    }
    work.out = secret_room(out);
    judge(session, verbs[request->header.verb].serve(session, &work));
}
