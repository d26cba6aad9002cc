#include "server/kms/unwraps.h"

void unwraps_init(struct unwraps *unwraps, struct client *client,
                  const struct unwraps_events *events)
{
    unwraps->client = client;
    unwraps->events = *events;
}

struct client_request unwraps_request(const struct seed_name *name, const struct ipc_key_ref *ref,
                                      uint8_t *aad, int64_t mono_ms)
{
    envelope_wrap_aad(&name->head, aad);
    return (struct client_request){
        .verb = IPC_UNWRAP,
        .deadline_ms = mono_ms + CLIENT_CALL_MS,
        .key = *ref,
        .aad = span_of(aad, ENVELOPE_WRAP_AAD),
        .data = seed_name_wrapped(name),
    };
}

static struct unwrap *find_key(struct unwraps *unwraps, const uint8_t key[32])
{
    for (size_t i = 0; unwraps->n > 0 && i < UNWRAPS_MAX; i++) {
        struct unwrap *unwrap = &unwraps->slots[i];
        if (unwrap->owner != NULL && span_equal(span_of(unwrap->name.key, 32), span_of(key, 32))) {
            return unwrap;
        }
    }
    return NULL;
}

static struct unwrap *find_free(struct unwraps *unwraps)
{
    for (size_t i = 0; i < UNWRAPS_MAX; i++) {
        if (unwraps->slots[i].owner == NULL) {
            return &unwraps->slots[i];
        }
    }
    return NULL;
}

static void drop(struct unwraps *unwraps, struct unwrap *unwrap)
{
    unwraps->n--;
    unwraps->background_n -= unwrap->class == CLIENT_BACKGROUND ? 1 : 0;
    unwrap->owner = NULL;
}

static void on_reply(void *ctx, const struct client_reply *reply)
{
    struct unwrap *slot = ctx;
    struct unwraps *unwraps = slot->owner;
    const struct unwrap unwrap = *slot;
    drop(unwraps, slot);
    unwraps->events.on_reply(unwraps->events.ctx, &unwrap, reply);
}

static err_t ask(struct unwraps *unwraps, const struct seed_name *name,
                 const struct ipc_key_ref *ref, enum client_class class, bool again,
                 int64_t mono_ms)
{
    struct unwrap *unwrap = find_free(unwraps);
    if (unwrap == NULL) {
        return FAIL(E_LIMIT, "too many seeds wait for the token");
    }
    uint8_t aad[ENVELOPE_WRAP_AAD];
    struct client_request request = unwraps_request(name, ref, aad, mono_ms);
    request.class = class;
    request.done = on_reply;
    request.ctx = unwrap;
    TRY(client_call(unwraps->client, &request, mono_ms));
    *unwrap = (struct unwrap){unwraps, class, mono_ms, again, *name};
    unwraps->n++;
    unwraps->background_n += class == CLIENT_BACKGROUND ? 1 : 0;
    return OK;
}

err_t unwraps_start(struct unwraps *unwraps, const struct seed_name *name,
                    const struct ipc_key_ref *ref, enum client_class class, int64_t mono_ms)
{
    struct unwrap *running = find_key(unwraps, name->key);
    if (running != NULL && running->class <= class) {
        return OK;
    }
    bool again = running != NULL && running->again;
    if (running != NULL) {
        client_cancel(unwraps->client, running);
        drop(unwraps, running);
    }
    return ask(unwraps, name, ref, class, again, mono_ms);
}

void unwraps_mark_again(struct unwraps *unwraps, const uint8_t key[32])
{
    struct unwrap *running = find_key(unwraps, key);
    if (running != NULL) {
        running->again = true;
    }
}

void unwraps_abandon(struct unwraps *unwraps, const uint8_t key[32])
{
    struct unwrap *unwrap = find_key(unwraps, key);
    if (unwrap != NULL && unwrap->class != CLIENT_BACKGROUND) {
        client_cancel(unwraps->client, unwrap);
        drop(unwraps, unwrap);
    }
}
