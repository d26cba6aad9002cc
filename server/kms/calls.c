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

static bool is_plaintext(enum codec_method method)
{
    return method == CODEC_V1_ENCRYPT || method == CODEC_V2_ENCRYPT;
}

/* Moves the payload from where it was borrowed into memory of its own. */
static err_t keep_payload(struct calls *calls, struct parked *kept, struct span payload)
{
    if (!is_plaintext(kept->call.method)) {
        if (!span_copy(span_mut_of(kept->ciphertext, sizeof(kept->ciphertext)), payload)) {
            return FAIL(E_BUG, "an unchecked payload waits");
        }
        kept->call.payload = span_of(kept->ciphertext, payload.len);
        envelope_rebase(&kept->call.envelope, payload.ptr, kept->ciphertext);
        return OK;
    }
    if (calls->secrets_n >= CALLS_SECRETS_MAX) {
        return FAIL(E_LIMIT, "too many calls wait for the token");
    }
    TRY(secret_new(SECRET_2KIB, payload.len, &kept->plaintext));
    TRY(secret_append(kept->plaintext, payload));
    kept->call.payload = secret_view(kept->plaintext);
    calls->secrets_n++;
    return OK;
}

err_t calls_park(struct calls *calls, const struct call *call)
{
    if (TAILQ_EMPTY(&calls->unused) && calls->fresh < CALLS_MAX) {
        struct parked *never_used = &calls->pool[calls->fresh++];
        TAILQ_INSERT_HEAD(&calls->unused, never_used, link);
    }
    struct parked *kept = TAILQ_FIRST(&calls->unused);
    if (kept == NULL) {
        return FAIL(E_LIMIT, "too many calls wait for the token");
    }
    kept->call = *call;
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

static void wipe_payload(struct calls *calls, struct parked *parked)
{
    calls->secrets_n -= parked->plaintext != NULL ? 1 : 0;
    secret_free(TAKE(parked->plaintext));
    parked->call.payload = span_of(NULL, 0);
}

void calls_answer(struct calls *calls, struct parked *parked, struct service_reply *reply)
{
    wipe_payload(calls, parked);
    parked->call.wait = (struct call_wait){0};
    parked->answered = true;
    parked->reply = *reply;
    reply->body = NULL;
    TAILQ_REMOVE(&calls->waiting, parked, link);
    TAILQ_INSERT_TAIL(&calls->answered, parked, link);
}

void calls_end(struct calls *calls, struct parked *parked)
{
    wipe_payload(calls, parked);
    secret_free(TAKE(parked->reply.body));
    if (parked->answered) {
        TAILQ_REMOVE(&calls->answered, parked, link);
    } else {
        TAILQ_REMOVE(&calls->waiting, parked, link);
    }
    parked->call.wait = (struct call_wait){0};
    parked->answered = false;
    TAILQ_INSERT_HEAD(&calls->unused, parked, link);
    calls->n--;
}

bool calls_next_answer(struct calls *calls, struct ticket *ret_ticket,
                       struct service_reply *ret_reply)
{
    struct parked *parked = TAILQ_FIRST(&calls->answered);
    if (parked == NULL) {
        return false;
    }
    *ret_ticket = parked->call.ticket;
    *ret_reply = parked->reply;
    parked->reply.body = NULL;
    calls_end(calls, parked);
    return true;
}

static bool is_from(const struct call *call, struct ticket ticket)
{
    return call->ticket.conn == ticket.conn && call->ticket.generation == ticket.generation &&
           call->ticket.stream == ticket.stream;
}

struct parked *calls_find(struct calls *calls, struct ticket ticket)
{
    struct parked *parked;
    TAILQ_FOREACH (parked, &calls->waiting, link) {
        if (is_from(&parked->call, ticket)) {
            return parked;
        }
    }
    TAILQ_FOREACH (parked, &calls->answered, link) {
        if (is_from(&parked->call, ticket)) {
            return parked;
        }
    }
    return NULL;
}

bool calls_wait_for(const struct calls *calls, const struct call_wait *wait)
{
    const struct parked *parked;
    TAILQ_FOREACH (parked, &calls->waiting, link) {
        if (call_waits_for(&parked->call, wait)) {
            return true;
        }
    }
    return false;
}

int64_t calls_next_ms(const struct calls *calls)
{
    int64_t next_ms = INT64_MAX;
    const struct parked *parked;
    TAILQ_FOREACH (parked, &calls->waiting, link) {
        int64_t expires_ms = parked->call.expires_ms;
        next_ms = expires_ms < next_ms ? expires_ms : next_ms;
    }
    return next_ms;
}
