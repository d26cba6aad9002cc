#define _GNU_SOURCE
#include "token/client.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/secret.h"
#include "base/version.h"
#include "token/client_job.h"
#include "token/client_queue.h"

#define PING_MS       2000
#define HUNG_MS    10000
#define STALE_MS   15000 /* longer than any call of a session may last: its answer went missing */
#define BLOCKED_MS 10    /* the socket is full: when to try again */
#define FRAMES_MAX 1024  /* read at a go, more than a socket holds: the rest finds us again */

struct client {
    struct client_events events;
    unsigned window;
    int fd;
    bool greeted; /* HELLO of this process was right */
    uint64_t last_call; /* number given to the last call on this socket */
    uint64_t ping_call; /* number of the ping that is under way; 0 none */
    int64_t ping_sent_ms;
    int64_t ping_next_ms;
    int64_t blocked_until_ms;
    struct queue queue;
    struct job_spares spares;
    struct secret *inbox;
    struct ipc_status status;
};

static const struct ipc_status status_gone = {
    .phase = IPC_PHASE_STARTING,
    .text = "the token process ended and is started again",
};

err_t client_new(const struct client_events *events, unsigned window, struct client **ret_client)
{
    CLEANUP(client_free_p) struct client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return FAIL_ERRNO("out of memory for the token client");
    }
    client->events = *events;
    client->window = window;
    client->fd = -1;
    queue_init(&client->queue);
    TRY(job_spares_init(&client->spares));
    TRY(secret_new(SECRET_2KIB, CLIENT_PAYLOAD_MAX, &client->inbox));
    *ret_client = TAKE(client);
    return OK;
}

void client_free(struct client *client)
{
    if (client == NULL) {
        return;
    }
    own_fd_close_p(&client->fd);
    queue_done(&client->queue);
    job_spares_done(&client->spares);
    secret_free(client->inbox);
    free(client);
}

/* Ends a call that no session is busy with any more. */
static void finish(struct client *client, struct job *job, const struct client_reply *reply)
{
    CLEANUP(job_free_p) struct job *ended = job;
    queue_remove(&client->queue, ended);
    if (!ended->abandoned) {
        ended->done(ended->ctx, reply);
    }
}

static void fail(struct client *client, struct job *job, err_t err)
{
    const struct client_reply reply = {.verb = job->verb, .err = err};
    finish(client, job, &reply);
}

static void set_status(struct client *client, const struct ipc_status *status)
{
    bool changed = status->phase != client->status.phase ||
                   !span_equal(span_of_text(status->text), span_of_text(client->status.text));
    client->status = *status;
    if (changed && client->events.on_status != NULL) {
        client->events.on_status(client->events.ctx, status);
    }
}

/* Back to the head of its class, or failed when that would not be safe. */
static void recall(struct client *client, struct job *job)
{
    if (job->abandoned || !job_repeats(job)) {
        fail(client, job, FAIL(E_UNAVAILABLE, "the token process ended during the call"));
        return;
    }
    job->resent = true;
    queue_recall(&client->queue, job);
}

static void detach(struct client *client)
{
    if (client->fd < 0) {
        return;
    }
    (void)close(client->fd);
    client->fd = -1;
    client->greeted = false;
    client->ping_call = 0;
    struct job *job;
    while ((job = queue_youngest_running(&client->queue)) != NULL) {
        recall(client, job);
    }
    set_status(client, &status_gone);
}

/* One frame to the token. Nothing changes when the socket is full; a broken one detaches. */
static bool send_frame(struct client *client, struct ipc_header *header, struct span payload,
                       int64_t now_ms)
{
    err_t err = ipc_send(client->fd, header, payload);
    if (failed(err) && err.code == E_UNAVAILABLE) {
        client->blocked_until_ms = now_ms + BLOCKED_MS;
    } else if (failed(err)) {
        detach(client);
    }
    return !failed(err);
}

static void ping(struct client *client, int64_t now_ms)
{
    struct ipc_header header = {.verb = IPC_PROBE, .call = client->last_call + 1};
    if (send_frame(client, &header, span_of(NULL, 0), now_ms)) {
        client->last_call = header.call;
        client->ping_call = header.call;
        client->ping_sent_ms = now_ms;
    }
}

void client_attach(struct client *client, int fd, int64_t now_ms)
{
    detach(client);
    int flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    client->fd = fd;
    client->last_call = 0;
    client->blocked_until_ms = 0;
    client->ping_next_ms = now_ms;
    struct ipc_header hello = {.verb = IPC_HELLO};
    if (send_frame(client, &hello, span_of_text(P11KMS_BUILD_ID), now_ms)) {
        ping(client, now_ms);
    } else {
        detach(client);
    }
}

int client_fd(const struct client *client)
{
    return client->fd;
}

static err_t take_hello(struct client *client, struct span payload)
{
    if (client->greeted || !span_equal(payload, span_of_text(P11KMS_BUILD_ID))) {
        return FAIL(E_PROTOCOL, "the token process is of another build");
    }
    client->greeted = true;
    return OK;
}

static err_t take_status(struct client *client, struct span payload)
{
    struct ipc_status status;
    TRY(ipc_status_read(payload, &status));
    set_status(client, &status);
    return OK;
}

static err_t take_reply(struct client *client, const struct ipc_header *header, struct span payload)
{
    struct job *job = queue_by_number(&client->queue, header->call);
    if (job == NULL) {
        return header->call != 0 && header->call <= client->last_call
                   ? OK /* so late that nobody counts on it any more */
                   : FAIL(E_PROTOCOL, "a token reply to no call");
    }
    bool done = false;
    struct client_reply reply = {0};
    TRY(job_take(job, header, payload, &done, &reply));
    if (done) {
        finish(client, job, &reply);
    }
    return OK;
}

static err_t take_frame(struct client *client, const struct ipc_header *header, struct span payload,
                        int64_t now_ms)
{
    if (header->verb == IPC_HELLO) {
        return take_hello(client, payload);
    }
    if (!client->greeted || (header->flags & IPC_REPLY) == 0) {
        return FAIL(E_PROTOCOL, "a token frame that is no reply");
    }
    if (header->verb == IPC_PROBE && header->call == client->ping_call) {
        client->ping_call = 0;
        client->ping_next_ms = now_ms + PING_MS;
        return take_status(client, payload);
    }
    if (header->verb == IPC_PROBE && header->call == 0) {
        return take_status(client, payload); /* its phase changed: said without being asked */
    }
    return take_reply(client, header, payload);
}

/* False when nothing more is to be read. */
static bool read_frame(struct client *client, int64_t now_ms)
{
    struct ipc_header header;
    struct span payload;
    err_t err = ipc_receive(client->fd, &header, secret_room(client->inbox), &payload);
    if (!failed(err)) {
        secret_set_len(client->inbox, payload.len);
        err = take_frame(client, &header, payload, now_ms);
        secret_set_len(client->inbox, 0);
    }
    if (failed(err) && err.code != E_UNAVAILABLE) {
        detach(client);
    }
    return !failed(err) && client->fd >= 0;
}

static bool can_send(const struct client *client)
{
    return client->greeted && client->status.phase == IPC_PHASE_READY &&
           client->queue.waiting_n > 0 && client->queue.running_n < client->window;
}

static bool send_job(struct client *client, struct job *job, int64_t now_ms)
{
    struct ipc_header header = {
        .verb = (uint16_t)job->verb,
        .call = client->last_call + 1,
        .remaining_ms = job->deadline_ms > now_ms ? (uint32_t)(job->deadline_ms - now_ms) : 0,
    };
    if (!send_frame(client, &header, secret_view(job->payload), now_ms)) {
        return false;
    }
    client->last_call = header.call;
    queue_start(&client->queue, job, header.call);
    return true;
}

static void send_waiting(struct client *client, int64_t now_ms)
{
    while (can_send(client) && now_ms >= client->blocked_until_ms) {
        if (!send_job(client, queue_next(&client->queue), now_ms)) {
            return;
        }
    }
}

/* The caller learns it now; the session of the token stays counted until it answers or dies. */
static void abandon(struct job *job)
{
    const struct client_reply reply = {.verb = job->verb,
                                       .err = FAIL(E_DEADLINE, "the token did not answer in time")};
    job->abandoned = true;
    job->done(job->ctx, &reply);
}

static err_t why_expired(const struct client *client)
{
    if (client->status.phase == IPC_PHASE_READY) {
        return FAIL(E_DEADLINE, "the token is busy with other calls");
    }
    return FAIL(E_UNAVAILABLE, "the token cannot be reached");
}

static void expire(struct client *client, int64_t now_ms)
{
    struct job *job;
    while ((job = queue_expired(&client->queue, now_ms)) != NULL) {
        if (job->number == 0) {
            fail(client, job, why_expired(client));
        } else {
            abandon(job);
        }
    }
    while ((job = queue_stale(&client->queue, now_ms - STALE_MS)) != NULL) {
        queue_remove(&client->queue, job);
        job_free(job);
    }
}

static bool hung(const struct client *client, int64_t now_ms)
{
    return client->fd >= 0 && client->ping_call != 0 &&
           now_ms - client->ping_sent_ms >= HUNG_MS;
}

static int64_t ping_due_ms(const struct client *client)
{
    if (client->fd < 0) {
        return INT64_MAX;
    }
    if (client->ping_call != 0) {
        return client->ping_sent_ms + HUNG_MS;
    }
    return client->ping_next_ms > client->blocked_until_ms ? client->ping_next_ms
                                                           : client->blocked_until_ms;
}

static void receive_all(struct client *client, int64_t now_ms)
{
    for (int i = 0; i < FRAMES_MAX && client->fd >= 0 && read_frame(client, now_ms); i++) {
    }
}

void client_readable(struct client *client, int64_t now_ms)
{
    receive_all(client, now_ms);
    expire(client, now_ms);
    send_waiting(client, now_ms);
}

void client_tick(struct client *client, int64_t now_ms)
{
    if (hung(client, now_ms)) {
        receive_all(client, now_ms); /* the owner itself may have slept: the answer may lie here */
    }
    if (hung(client, now_ms)) {
        /* said again if it lives on: the first word may not have been heard */
        client->ping_sent_ms = now_ms;
        client->events.on_hung(client->events.ctx);
    }
    expire(client, now_ms);
    if (client->ping_call == 0 && now_ms >= ping_due_ms(client)) {
        ping(client, now_ms);
    }
    send_waiting(client, now_ms);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t client_next_ms(const struct client *client)
{
    int64_t next_ms = earlier(queue_deadline_ms(&client->queue), ping_due_ms(client));
    return can_send(client) ? earlier(next_ms, client->blocked_until_ms) : next_ms;
}

err_t client_call(struct client *client, const struct client_request *request, int64_t now_ms)
{
    if (client->queue.waiting_n >= CLIENT_QUEUE_MAX) {
        return FAIL(E_LIMIT, "too many calls wait for the token");
    }
    struct job *job = NULL;
    TRY(job_new(request, now_ms, &client->spares, &job));
    queue_add(&client->queue, job);
    return OK;
}

void client_cancel(struct client *client, const void *ctx)
{
    struct job *job;
    while ((job = queue_by_ctx(&client->queue, ctx)) != NULL) {
        if (job->number != 0) {
            job->abandoned = true;
        } else {
            queue_remove(&client->queue, job);
            job_free(job);
        }
    }
}

const struct ipc_status *client_status(const struct client *client)
{
    return &client->status;
}

size_t client_load(const struct client *client)
{
    return client->queue.waiting_n + client->queue.running_n;
}
