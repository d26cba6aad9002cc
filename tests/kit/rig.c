#include "tests/kit/rig.h"

#include <stdlib.h>

static void must(bool promise)
{
    if (!promise) {
        abort();
    }
}

struct rig *rig_new_silent(enum h2_policy policy)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    must(rig != NULL);
    rig->now_ms = RIG_NOW_MS;
    rig->pull_room = 16384;
    rig->peer = wire_peer_new();
    must(!failed(h2_shared_new(&rig->service, &rig->shared)));
    struct ticket ticket = {.conn = RIG_CONN, .generation = RIG_GENERATION};
    must(!failed(h2_session_new(rig->shared, policy, ticket, rig->now_ms, &rig->session)));
    rig_pull(rig);
    return rig;
}

struct rig *rig_new(enum h2_policy policy)
{
    struct rig *rig = rig_new_silent(policy);
    wire_open(&rig->to_send);
    wire_settings_ack(&rig->to_send);
    rig_run(rig);
    return rig;
}

void rig_free(struct rig *rig)
{
    if (rig == NULL) {
        return;
    }
    h2_session_free(rig->session);
    must(h2_shared_calls(rig->shared) == 0);
    must(rig->service.pending_n == 0);
    h2_shared_free(rig->shared);
    wire_peer_free(rig->peer);
    free(rig);
    must(secret_in_use(SECRET_2KIB) == 0 && secret_in_use(SECRET_128KIB) == 0);
}

void rig_pull(struct rig *rig)
{
    uint8_t *room = malloc(rig->pull_room);
    must(room != NULL);
    size_t n = 0;
    while ((n = h2_session_pull(rig->session, span_mut_of(room, rig->pull_room))) > 0) {
        must(n <= rig->pull_room);
        wire_peer_read(rig->peer, span_of(room, n));
    }
    free(room);
}

void rig_run_in_steps(struct rig *rig, size_t step)
{
    struct span rest = wire_bytes(&rig->to_send);
    rig->fed = OK;
    while (rest.len > 0 && !failed(rig->fed)) {
        size_t n = rest.len < step ? rest.len : step;
        rig->fed = h2_session_feed(rig->session, span_part(rest, 0, n), rig->now_ms);
        rest = span_part(rest, n, rest.len - n);
        rig_pull(rig);
    }
    rig->to_send.len = 0;
}

void rig_run(struct rig *rig)
{
    rig_run_in_steps(rig, 16384);
}

void rig_pass(struct rig *rig, int64_t ms)
{
    rig->now_ms += ms;
    h2_session_tick(rig->session, rig->now_ms);
    rig_pull(rig);
}

void rig_reply(struct rig *rig, size_t index, struct service_reply reply)
{
    struct service *service = &rig->service;
    must(index < service->pending_n);
    struct ticket ticket = service->pending[index];
    service->pending[index] = service->pending[--service->pending_n];
    must(ticket.conn == RIG_CONN && ticket.generation == RIG_GENERATION);
    h2_session_reply(rig->session, ticket.stream, &reply, rig->now_ms);
    must(reply.body == NULL);
    rig_pull(rig);
}

const struct wire_answer *rig_answer(const struct rig *rig, int32_t stream)
{
    return wire_peer_answer(rig->peer, stream);
}
