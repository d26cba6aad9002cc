#include "tests/unit/token/client_rig.h"

#include "base/secret.h"

static const struct secret_budget budget = {.amount = {[SECRET_2KIB] = 300}};

struct client_rig t;

/* The ctx of a call is the address of its id here. */
static char ids[CLIENT_KEYS_MAX + 2];

static void on_reply(void *ctx, const struct client_reply *reply)
{
    assert_true(t.heard_n < HEARD_MAX);
    struct heard *heard = &t.heard[t.heard_n++];
    *heard = (struct heard){.id = (uint64_t)((char *)ctx - ids),
                            .err = reply->err,
                            .rv = reply->rv,
                            .keys_n = reply->keys_n,
                            .len = reply->data.len};
    assert_true(reply->data.len <= sizeof(heard->data));
    span_move(heard->data, reply->data.ptr, reply->data.len);
}

void send_status(int fd)
{
    struct ipc_header header = {.verb = IPC_PROBE, .flags = IPC_REPLY};
    struct ipc_status status = {.phase = IPC_PHASE_STARTING};
    status.text[0] = t.statuses % 2 == 0 ? 'a' : 'b';
    assert_ok(ipc_send(fd, &header, span_of(&status, sizeof(status))));
}

static void on_status(void *ctx, const struct ipc_status *status)
{
    (void)ctx;
    (void)status;
    t.statuses++;
    if (t.flood_fd != 0 && t.statuses < 20000) {
        send_status(t.flood_fd);
    }
}

static void on_hung(void *ctx)
{
    (void)ctx;
    t.hung++;
}

int rig_setup(void **state)
{
    (void)state;
    static const struct client_events events = {.on_status = on_status, .on_hung = on_hung};
    t = (struct client_rig){0};
    t.now_ms = 1000;
    t.token = fake_token_new(NOW_S);
    if (failed(secret_init(&budget)) || failed(client_new(&events, WINDOW, &t.client))) {
        return -1;
    }
    (void)fake_token_add_key(t.token, "test", NOW_S, NOW_S);
    return 0;
}

int rig_teardown(void **state)
{
    (void)state;
    client_free(t.client);
    fake_token_free(t.token);
    bool clean = secret_in_use(SECRET_2KIB) == 0 && secret_free_space_is_zero();
    secret_done();
    return clean ? 0 : -1;
}

void settle(void)
{
    client_tick(t.client, t.now_ms);
    while (fake_token_pump(t.token) > 0) {
        client_readable(t.client, t.now_ms);
        client_tick(t.client, t.now_ms);
    }
    if (client_fd(t.client) >= 0) {
        client_readable(t.client, t.now_ms);
    }
}

void later(int64_t ms)
{
    t.now_ms += ms;
    settle();
}

void connect_token(void)
{
    client_attach(t.client, fake_token_connect(t.token), t.now_ms);
    settle();
    assert_int_equal(client_status(t.client)->phase, IPC_PHASE_READY);
}

struct client_request request(enum ipc_verb verb, enum client_class class, uint64_t id)
{
    struct client_request r = {.verb = verb,
                               .class = class,
                               .done = on_reply,
                               .ctx = &ids[id],
                               .deadline_ms = t.now_ms + 2000,
                               .key = fake_token_ref(t.token, 0),
                               .aad = span_of_text("aad"),
                               .data = span_of_text("seed"),
                               .list = {.ring = "test"},
                               .generate = {.ring = "test"},
                               .random_n = 32};
    return r;
}

void call(enum ipc_verb verb, enum client_class class, uint64_t id)
{
    struct client_request r = request(verb, class, id);
    assert_ok(client_call(t.client, &r, t.now_ms));
}

const struct heard *answer_to(uint64_t id)
{
    const struct heard *found = NULL;
    for (size_t i = 0; i < t.heard_n; i++) {
        if (t.heard[i].id == id) {
            assert_null(found); /* exactly once */
            found = &t.heard[i];
        }
    }
    return found;
}

void cancel(uint64_t id)
{
    client_cancel(t.client, &ids[id]);
}

void assert_answer(uint64_t id, enum err_code code)
{
    const struct heard *heard = answer_to(id);
    assert_non_null(heard);
    assert_int_equal(heard->err.code, code);
}
