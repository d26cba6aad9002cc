#include "tests/kit/fake_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reply with room for `len` bytes, or E_LIMIT when the arena has none. */
static struct service_reply reply_of(size_t len)
{
    struct service_reply reply = {.err = OK};
    enum secret_part part = len <= SECRET_2KIB_BYTES ? SECRET_2KIB : SECRET_128KIB;
    reply.err = secret_new(part, len, &reply.body);
    return reply;
}

struct service_reply fake_service_ok(size_t len)
{
    struct service_reply reply = reply_of(len);
    if (!failed(reply.err)) {
        memset(secret_room(reply.body).ptr, 'r', len);
        secret_set_len(reply.body, len);
    }
    return reply;
}

static void answer(const struct service *service, const struct service_call *call,
                   struct service_reply *reply)
{
    if (service->mode == FAKE_ERROR) {
        reply->err = service->err;
        (void)snprintf(reply->text, sizeof(reply->text), "%s", service->text);
    } else if (service->mode == FAKE_LARGE) {
        *reply = fake_service_ok(service->large);
    } else {
        *reply = reply_of(call->body.len);
        if (!failed(reply->err) && failed(secret_append(reply->body, call->body))) {
            abort();
        }
    }
}

enum service_outcome service_handle(struct service *service, const struct service_call *call,
                                    struct service_reply *ret_reply)
{
    service->calls++;
    service->last = *call;
    service->last.body = span_of(NULL, 0);
    service->last_len = call->body.len;
    service->last_first = call->body.len > 0 ? call->body.ptr[0] : 0;
    if (service->mode != FAKE_PEND) {
        answer(service, call, ret_reply);
        return SERVICE_DONE;
    }
    if (service->pending_n == FAKE_SERVICE_PENDING) {
        abort();
    }
    service->pending[service->pending_n++] = call->ticket;
    return SERVICE_PENDING;
}

void service_limit_bites(struct service *service, enum limit limit)
{
    service->bites[limit]++;
}

void service_cancel(struct service *service, struct ticket ticket)
{
    service->cancels++;
    for (size_t i = 0; i < service->pending_n; i++) {
        const struct ticket *at = &service->pending[i];
        if (at->conn == ticket.conn && at->generation == ticket.generation &&
            at->stream == ticket.stream) {
            service->pending[i] = service->pending[--service->pending_n];
            return;
        }
    }
    abort(); /* cancels what it never gave, or twice */
}
