#include "server/kms/lister.h"

#include <stdio.h>

#include "base/log.h"

#define LIST_MS 10000

void lister_init(struct lister *lister, struct client *client, uint64_t *numbers,
                 const struct lister_events *events)
{
    *lister = (struct lister){
        .client = client, .events = *events, .numbers = numbers, .all_started_ms = INT64_MIN / 2};
}

void lister_want_all(struct lister *lister)
{
    lister->all_wanted = true;
}

int64_t lister_due_ms(const struct lister *lister, int64_t list_at_ms)
{
    if (lister->running) {
        return INT64_MAX;
    }
    int64_t all_ms = lister->all_started_ms + LISTER_ALL_MS;
    return lister->all_wanted && all_ms < list_at_ms ? all_ms : list_at_ms;
}

/* Nothing is seen of a new KEK meanwhile. */
static void note_failure(struct lister *lister, const struct client_reply *reply)
{
    bool away = reply->err.code == E_UNAVAILABLE;
    if (failed(reply->err) && !away && !lister->failing) {
        log_event(EVENT_LISTING_FAILED, LOG_ERR(reply->err));
    }
    lister->failing = failed(reply->err) && (lister->failing || !away);
}

static void on_reply(void *ctx, const struct client_reply *reply)
{
    struct lister *lister = ctx;
    bool all = lister->all;
    note_failure(lister, reply);
    lister->running = false;
    if (lister->all && !failed(reply->err)) {
        lister->all_done = lister->all_running;
    } else if (lister->all) {
        lister->all_wanted = true;
    }
    lister->all = false;
    lister->events.on_listed(lister->events.ctx, reply, all);
}

err_t lister_start(struct lister *lister, const char *ring, const struct ipc_key_ref *serving,
                   struct times now)
{
    bool all = lister->all_wanted && now.boot_ms - lister->all_started_ms >= LISTER_ALL_MS;
    struct client_request request = {
        .verb = IPC_LIST,
        .class = CLIENT_CANARY,
        .done = on_reply,
        .ctx = lister,
        .deadline_ms = now.mono_ms + LIST_MS,
        .list = {.all = all, .has_serving = serving != NULL},
    };
    (void)snprintf(request.list.ring, sizeof(request.list.ring), "%s", ring);
    if (serving != NULL) {
        request.list.serving = *serving;
    }
    lister->all_started_ms = all ? now.boot_ms : lister->all_started_ms;
    TRY(client_call(lister->client, &request, now.mono_ms));
    lister->running = true;
    lister->all = all;
    if (all) {
        lister->all_wanted = false;
        lister->all_running = ++*lister->numbers;
    }
    return OK;
}
