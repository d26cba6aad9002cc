#include "server/kms/service.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/log_limit.h"
#include "keys/key_id.h"
#include "server/kms/calls.h"
#include "server/kms/kms.h"
#include "server/kms/methods.h"
#include "server/kms/store.h"
#include "server/kms/suite.h"

#define ANSWER_MS 200 /* before its deadline a call is told why, instead of running into it */

struct service {
    struct service_events events;
    struct store *store;
    struct calls calls;
    struct log_limit refused;
};

static bool is_decrypt(enum codec_method method)
{
    return method == CODEC_V1_DECRYPT || method == CODEC_V2_DECRYPT;
}

static void log_refused(struct service *service, const struct call *call, err_t err)
{
    bool refused = err.code == E_INVALID || err.code == E_CRYPTO || err.code == E_NOT_FOUND;
    if (!refused || !is_decrypt(call->method)) {
        return;
    }
    if (log_limit_passes(&service->refused, clock_mono_ms())) {
        log_event(EVENT_DECRYPT_REFUSED, LOG_TEXT("uid", call->uid), LOG_ERR(err));
    }
}

/* "what (key_id sha256:...)": the name under which the API server's own logs know the key. */
static void fill_not_found(const struct call *call, err_t err, struct service_reply *reply)
{
    const struct envelope_head *head = &call->envelope.head;
    char key_id[KEY_ID_TEXT_LEN + 1];
    char hash[KEY_ID_HASH_LEN + 1];
    key_id_text(head->kek_id, head->activation, key_id);
    if (!failed(key_id_hash(span_of_text(key_id), hash))) {
        (void)snprintf(reply->text, sizeof(reply->text), "%.99s (key_id %s)", err.what, hash);
    }
}

/*
 * What a client may read: one text for every cryptographic mismatch, the mend where there is one.
 */
static void fill_text(struct service *service, err_t err, struct service_reply *reply)
{
    char mend[MEND_MAX] = "";
    if (err.code == E_UNAVAILABLE || err.code == E_STATE) {
        store_mend(service->store, store_now(service->store), mend, sizeof(mend));
    }
    const char *what = err.code == E_CRYPTO ? "the ciphertext cannot be opened" : err.what;
    (void)snprintf(reply->text, sizeof(reply->text), "%.199s", mend[0] != '\0' ? mend : what);
    span_end_whole(reply->text);
}

static struct service_reply failure(struct service *service, const struct call *call, err_t err)
{
    struct service_reply reply = {.err = err};
    fill_text(service, err, &reply);
    if (err.code == E_NOT_FOUND && is_decrypt(call->method)) {
        fill_not_found(call, err, &reply);
    }
    log_refused(service, call, err);
    return reply;
}

/* It could not wait, or waited in vain. */
static struct service_reply failure_of_waiting(struct service *service, const struct call *call,
                                               err_t err)
{
    return failure(service, call, suite_had_room(service->store, err));
}

/* Done: true, with the reply. False: the call has set what it waits for. */
static bool attempt(struct service *service, struct call *call, bool last,
                    struct service_reply *ret_reply)
{
    CLEANUP(secret_free_p) struct secret *body = NULL;
    err_t err = methods_run(service->store, call, last, &body);
    if (!failed(err) && call_waits(call)) {
        return false;
    }
    *ret_reply =
        failed(err) ? failure(service, call, err) : (struct service_reply){.body = TAKE(body)};
    return true;
}

/* When to tell a waiting call that it waited in vain. */
static int64_t expiry_ms(int64_t deadline_ms)
{
    int64_t now_ms = clock_mono_ms();
    int64_t left_ms = deadline_ms - now_ms;
    int64_t margin_ms = left_ms / 4 < ANSWER_MS ? left_ms / 4 : ANSWER_MS;
    return times_earlier(now_ms + CLIENT_CALL_MS, deadline_ms - margin_ms);
}

static bool handle(struct service *service, const struct service_call *in,
                   struct codec_request *request, struct service_reply *ret_reply)
{
    struct call call = {.method = in->method,
                        .ticket = in->ticket,
                        .authority = in->authority,
                        .expires_ms = expiry_ms(in->deadline_ms)};
    err_t err = methods_take(service->store, request, &call);
    if (failed(err)) {
        *ret_reply = failure(service, &call, err);
        return true;
    }
    if (attempt(service, &call, false, ret_reply)) {
        return true;
    }
    err = calls_park(&service->calls, &call);
    if (failed(err) && call.method == CODEC_V2_STATUS) {
        return attempt(service, &call, true, ret_reply);
    }
    if (failed(err)) {
        *ret_reply = failure_of_waiting(service, &call, err);
        return true;
    }
    return false;
}

enum service_outcome service_handle(struct service *service, const struct service_call *call,
                                    struct service_reply *ret_reply)
{
    struct codec_request request;
    err_t err = codec_unpack_request(call->method, call->body, &request);
    if (failed(err)) {
        struct service_reply reply = {.err = err};
        fill_text(service, err, &reply);
        *ret_reply = reply;
        return SERVICE_DONE;
    }
    bool done = handle(service, call, &request, ret_reply);
    codec_request_done(&request);
    return done ? SERVICE_DONE : SERVICE_PENDING;
}

void service_limit_bites(struct service *service, enum limit limit)
{
    limits_bite(&service->store->limits, limit, clock_mono_ms());
}

void service_cancel(struct service *service, struct ticket ticket)
{
    struct parked *parked = calls_find(&service->calls, ticket);
    if (parked == NULL) {
        return;
    }
    const struct call_wait wait = parked->call.wait;
    calls_end(&service->calls, parked);
    if (!calls_wait_for(&service->calls, &wait)) {
        suite_abandon(service->store, &wait);
    }
}

/* Tries it again; answered calls are said later, from say_answers. */
static void retry(struct service *service, struct parked *parked, bool last)
{
    struct service_reply reply;
    if (attempt(service, &parked->call, last, &reply)) {
        calls_answer(&service->calls, parked, &reply);
    }
}

static void fail_call(struct service *service, struct parked *parked, err_t err)
{
    struct service_reply reply = failure_of_waiting(service, &parked->call, err);
    calls_answer(&service->calls, parked, &reply);
}

static struct parked *next_of(struct parked *parked)
{
    return TAILQ_NEXT(parked, link);
}

static void on_happened(void *ctx, const struct call_wait *what, err_t err)
{
    struct service *service = ctx;
    struct parked *next;
    for (struct parked *parked = TAILQ_FIRST(&service->calls.waiting); parked != NULL;
         parked = next) {
        next = next_of(parked);
        if (!call_waits_for(&parked->call, what)) {
            continue;
        }
        if (failed(err)) {
            fail_call(service, parked, err);
        } else {
            retry(service, parked, false);
        }
    }
}

/* Status is answered whatever is known; the others are told that the token cannot be reached. */
static void expire(struct service *service, int64_t now_ms)
{
    struct parked *next;
    for (struct parked *parked = TAILQ_FIRST(&service->calls.waiting); parked != NULL;
         parked = next) {
        next = next_of(parked);
        if (parked->call.expires_ms > now_ms) {
            continue;
        }
        if (parked->call.method == CODEC_V2_STATUS) {
            retry(service, parked, true);
        } else {
            fail_call(service, parked, FAIL(E_UNAVAILABLE, "the token cannot be reached"));
        }
    }
}

static void say_answers(struct service *service)
{
    struct ticket ticket;
    struct service_reply reply;
    while (calls_next_answer(&service->calls, &ticket, &reply)) {
        service->events.on_reply(service->events.ctx, ticket, &reply);
    }
}

err_t service_new(const struct config *config, const struct service_events *events,
                  const struct kms_outputs *outputs, struct service **ret_service)
{
    CLEANUP(service_free_p) struct service *service = calloc(1, sizeof(*service));
    if (service == NULL) {
        return FAIL_ERRNO("out of memory for the service");
    }
    const struct store_events store_events = {service, on_happened};
    service->events = *events;
    service->refused.event = EVENT_DECRYPT_REFUSED;
    TRY(calls_init(&service->calls));
    TRY(store_new(config, &store_events, outputs, &service->store));
    *ret_service = TAKE(service);
    return OK;
}

void service_free(struct service *service)
{
    if (service == NULL) {
        return;
    }
    store_free(service->store);
    calls_done(&service->calls);
    free(service);
}

void service_remember(struct service *service, enum state_file file, struct span bytes)
{
    store_remember(service->store, file, bytes);
}

void service_start(struct service *service)
{
    store_start(service->store);
}

void service_stored(struct service *service, enum state_file file, err_t err)
{
    store_stored(service->store, file, err);
}

void service_storing(struct service *service, unsigned what, const char *why)
{
    store_storing(service->store, what, why);
}

static struct client *client_of(const struct service *service)
{
    return service->store->tokens.at[0]->client;
}

void service_token_attach(struct service *service, int fd)
{
    client_attach(client_of(service), fd, clock_mono_ms());
    say_answers(service);
}

int service_token_fd(const struct service *service)
{
    return client_fd(client_of(service));
}

void service_token_readable(struct service *service)
{
    client_readable(client_of(service), clock_mono_ms());
    service_tick(service);
}

void service_tick(struct service *service)
{
    store_tick(service->store);
    expire(service, clock_mono_ms());
    log_limit_tick(&service->refused, clock_mono_ms());
    say_answers(service);
}

int64_t service_next_ms(const struct service *service)
{
    int64_t next_ms = times_earlier(store_next_ms(service->store), calls_next_ms(&service->calls));
    return times_earlier(next_ms, log_limit_next_ms(&service->refused));
}

void service_reload(struct service *service, const struct config *config)
{
    store_reload(service->store, config);
}
