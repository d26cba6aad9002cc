/*
 * A whole session over a fake service: preface and SETTINGS, then the input in chunks.
 *   byte 0   chunk size (0: all at once)
 *   byte 1   how the service answers; 0x80: the preface is left to the input; 0x40: it is abandoned
 * at the end of the input; 0x20: it is drained at the end of all Afterwards time passes, what waits
 * is answered or cancelled, and nothing may be left.
 */
#include <stdlib.h>

#include "base/secret.h"
#include "server/http2/session.h"
#include "tests/fuzz/fuzz.h"
#include "tests/kit/fake_service.h"

#define NOW_MS 1000000

static uint8_t room[16384];

static void must(bool promise)
{
    if (!promise) {
        abort();
    }
}

static void pull(struct h2_session *session)
{
    while (h2_session_pull(session, span_mut_of(room, sizeof(room))) > 0) {
    }
}

static void feed(struct h2_session *session, struct span bytes, size_t chunk)
{
    err_t err = OK;
    while (bytes.len > 0 && !failed(err) && !h2_session_done(session)) {
        size_t n = chunk == 0 || chunk > bytes.len ? bytes.len : chunk;
        err = h2_session_feed(session, span_part(bytes, 0, n), NOW_MS);
        bytes = span_part(bytes, n, bytes.len - n);
        pull(session);
    }
}

static void open_session(struct h2_session *session)
{
    static const uint8_t open[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                  "\0\0\0\4\0\0\0\0\0"  /* SETTINGS */
                                  "\0\0\0\4\1\0\0\0\0"; /* and the ACK of ours */
    must(!failed(h2_session_feed(session, span_of(open, sizeof(open) - 1), NOW_MS)));
}

/* Every other waiting call is answered, the rest meets its deadline or the end of the session. */
static void answer(struct h2_session *session, struct service *service)
{
    for (size_t i = 0; i < service->pending_n; i++) {
        struct ticket ticket = service->pending[i];
        service->pending[i] = service->pending[--service->pending_n];
        struct service_reply reply = fake_service_ok(ticket.stream % 64 == 1 ? 20000 : 20);
        h2_session_reply(session, ticket.stream, &reply, NOW_MS);
        must(reply.body == NULL);
    }
    pull(session);
}

static void run(struct h2_shared *shared, struct service *service, struct span input)
{
    struct ticket ticket = {.conn = 1, .generation = 1};
    struct h2_session *session = NULL;
    must(!failed(h2_session_new(shared, H2_SERVE, ticket, NOW_MS, &session)));
    pull(session);
    if ((input.ptr[1] & 0x80) == 0) {
        open_session(session);
    }
    feed(session, span_part(input, 2, input.len - 2), input.ptr[0]);
    if ((input.ptr[1] & 0x40) != 0) {
        h2_session_abandon(session, NOW_MS);
        pull(session);
    }
    answer(session, service);
    for (int64_t ms = 0; ms < 40000 && h2_session_next_ms(session) != INT64_MAX; ms += 2500) {
        h2_session_tick(session, NOW_MS + ms);
        pull(session);
    }
    if ((input.ptr[1] & 0x20) != 0) {
        h2_session_drain(session, NOW_MS + 40000);
        pull(session);
    }
    h2_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct service service;
    static struct h2_shared *shared;
    if (shared == NULL) {
        must(!failed(secret_init(&secret_budget_front)));
        must(!failed(h2_shared_new(&service, &shared)));
    }
    if (size < 2) {
        return 0;
    }
    service.mode = (enum fake_service_mode)(data[1] % 4);
    service.err = FAIL(E_STATE, "refused");
    service.text = "a text with \xc3\xa9 and %";
    service.large = 3000;
    run(shared, &service, span_of(data, size));
    must(h2_shared_calls(shared) == 0 && service.pending_n == 0);
    must(secret_in_use(SECRET_2KIB) == 0 && secret_in_use(SECRET_128KIB) == 0);
    return 0;
}
