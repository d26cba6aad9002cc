#include "server/kms/calls.h"

#include <stdlib.h>

err_t calls_init(struct calls *calls)
{
    *calls = (struct calls){.pool = calloc(CALLS_MAX, sizeof(*calls->pool))};
    TAILQ_INIT(&calls->waiting);
    TAILQ_INIT(&calls->answered);
    TAILQ_INIT(&calls->unused);
    if (calls->pool == NULL) {
        return FAIL_ERRNO("out of memory for waiting calls");
    }
    return OK;
}

void calls_done(struct calls *calls)
{
    for (size_t i = 0; i < calls->fresh; i++) {
        secret_free(calls->pool[i].plaintext);
        secret_free(calls->pool[i].reply.body);
    }
    free(calls->pool);
    *calls = (struct calls){0};
}

bool calls_owns(const struct calls *calls, const struct call *call)
{
    return call >= calls->pool && call < calls->pool + CALLS_MAX;
}

static bool is_plaintext(enum codec_method method)
{
    return method == CODEC_V1_ENCRYPT || method == CODEC_V2_ENCRYPT;
}

/* Moves the payload from where it was borrowed into the call's own memory. */
static err_t keep_payload(struct calls *calls, struct call *kept, struct span payload)
{
    if (!is_plaintext(kept->method)) {
        if (!span_copy(span_mut_of(kept->ciphertext, sizeof(kept->ciphertext)), payload)) {
            return FAIL(E_BUG, "an unchecked payload waits");
        }
        kept->payload = span_of(kept->ciphertext, payload.len);
        return OK;
    }
    if (calls->secrets_n >= CALLS_SECRETS_MAX) {
        return FAIL(E_LIMIT, "too many calls wait for the token");
    }
    TRY(secret_new(SECRET_SLOT, payload.len, &kept->plaintext));
    TRY(secret_append(kept->plaintext, payload));
    kept->payload = secret_view(kept->plaintext);
    calls->secrets_n++;
    return OK;
}

/* All but the link, the payload and the buffers. */
static void copy_facts(struct call *to, const struct call *from)
{
    to->method = from->method;
    to->ticket = from->ticket;
    to->authority = from->authority;
    to->expires_ms = from->expires_ms;
    to->wait = from->wait;
    to->listing = from->listing;
    span_move(to->uid, from->uid, sizeof(to->uid));
    span_move(to->seed_key, from->seed_key, sizeof(to->seed_key));
}

err_t calls_park(struct calls *calls, struct call *call)
{
    if (calls_owns(calls, call)) {
        return OK;
    }
    if (TAILQ_EMPTY(&calls->unused) && calls->fresh < CALLS_MAX) {
        struct call *never_used = &calls->pool[calls->fresh++];
        TAILQ_INSERT_HEAD(&calls->unused, never_used, link);
    }
    struct call *kept = TAILQ_FIRST(&calls->unused);
    if (kept == NULL) {
        return FAIL(E_LIMIT, "too many calls wait for the token");
    }
    copy_facts(kept, call);
    err_t err = keep_payload(calls, kept, call->payload);
    if (failed(err)) {
        secret_free(TAKE(kept->plaintext));
        return err;
    }
    TAILQ_REMOVE(&calls->unused, kept, link);
    TAILQ_INSERT_TAIL(&calls->waiting, kept, link);
    calls->n++;
    return OK;
}

static void wipe_payload(struct calls *calls, struct call *call)
{
    calls->secrets_n -= call->plaintext != NULL ? 1 : 0;
    secret_free(TAKE(call->plaintext));
    call->payload = span_of(NULL, 0);
}

void calls_answer(struct calls *calls, struct call *call, struct service_reply *reply)
{
    wipe_payload(calls, call);
    call->wait = CALL_FOR_NOTHING;
    call->answered = true;
    call->reply = *reply;
    reply->body = NULL;
    TAILQ_REMOVE(&calls->waiting, call, link);
    TAILQ_INSERT_TAIL(&calls->answered, call, link);
}

void calls_end(struct calls *calls, struct call *call)
{
    wipe_payload(calls, call);
    secret_free(TAKE(call->reply.body));
    if (call->answered) {
        TAILQ_REMOVE(&calls->answered, call, link);
    } else {
        TAILQ_REMOVE(&calls->waiting, call, link);
    }
    call->wait = CALL_FOR_NOTHING;
    call->answered = false;
    TAILQ_INSERT_HEAD(&calls->unused, call, link);
    calls->n--;
}

bool calls_next_answer(struct calls *calls, struct ticket *ret_ticket,
                       struct service_reply *ret_reply)
{
    struct call *call = TAILQ_FIRST(&calls->answered);
    if (call == NULL) {
        return false;
    }
    *ret_ticket = call->ticket;
    *ret_reply = call->reply;
    call->reply.body = NULL;
    calls_end(calls, call);
    return true;
}

static bool is_from(const struct call *call, struct ticket ticket)
{
    return call->ticket.conn == ticket.conn && call->ticket.generation == ticket.generation &&
           call->ticket.stream == ticket.stream;
}

struct call *calls_find(struct calls *calls, struct ticket ticket)
{
    struct call *call;
    TAILQ_FOREACH (call, &calls->waiting, link) {
        if (is_from(call, ticket)) {
            return call;
        }
    }
    TAILQ_FOREACH (call, &calls->answered, link) {
        if (is_from(call, ticket)) {
            return call;
        }
    }
    return NULL;
}

bool calls_want_seed(const struct calls *calls, const uint8_t key[32])
{
    const struct call *call;
    TAILQ_FOREACH (call, &calls->waiting, link) {
        if (call->wait == CALL_FOR_SEED &&
            span_equal(span_of(call->seed_key, 32), span_of(key, 32))) {
            return true;
        }
    }
    return false;
}

int64_t calls_next_ms(const struct calls *calls)
{
    int64_t next_ms = INT64_MAX;
    const struct call *call;
    TAILQ_FOREACH (call, &calls->waiting, link) {
        next_ms = call->expires_ms < next_ms ? call->expires_ms : next_ms;
    }
    return next_ms;
}
