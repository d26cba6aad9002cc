#include "server/net/loop.h"

#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"

struct loop {
    uv_loop_t uv;
};

/* Each begins with its handle, so that uv's pointer is ours; freed once uv has let go of it. */
struct loop_poll {
    uv_poll_t handle;
    void (*on_ready)(void *ctx, int events);
    void *ctx;
    int wanted;
};

struct loop_timer {
    uv_timer_t handle;
    void (*on_time)(void *ctx);
    void *ctx;
};

struct loop_signal {
    uv_signal_t handle;
    void (*on_signal)(void *ctx, int number);
    void *ctx;
};

struct loop_turn {
    uv_check_t after_polls;
    uv_prepare_t after_timers;
    void (*on_turn)(void *ctx);
    void *ctx;
    unsigned open; /* handles that uv still holds */
};

static err_t fail_uv(int code)
{
    return FAIL_DETAIL(E_SYSTEM, -code, "the event loop cannot be set up");
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

/* For a handle at the front of its malloc'ed struct. */
static void close_and_free(void *handle)
{
    if (handle != NULL) {
        uv_close(handle, on_closed);
    }
}

err_t loop_new(struct loop **ret_loop)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return FAIL_ERRNO("cannot allocate the event loop");
    }
    int code = uv_loop_init(&loop->uv);
    if (code != 0) {
        free(loop);
        return fail_uv(code);
    }
    *ret_loop = loop;
    return OK;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT); /* the last closings */
    if (uv_loop_close(&loop->uv) != 0) {
        abort(); /* something of this loop was not freed */
    }
    free(loop);
}

void loop_run(struct loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_run_once(struct loop *loop, bool wait)
{
    (void)uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

err_t loop_poll_new(struct loop *loop, int fd, void (*on_ready)(void *ctx, int events), void *ctx,
                    struct loop_poll **ret_poll)
{
    struct loop_poll *poll = calloc(1, sizeof(*poll));
    if (poll == NULL) {
        return FAIL_ERRNO("cannot allocate a watch of the event loop");
    }
    int code = uv_poll_init(&loop->uv, &poll->handle, fd);
    if (code != 0) {
        free(poll);
        return fail_uv(code);
    }
    poll->on_ready = on_ready;
    poll->ctx = ctx;
    *ret_poll = poll;
    return OK;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct loop_poll *poll = (struct loop_poll *)handle;
    int ready = status < 0 ? LOOP_BROKEN : 0;
    ready |= (events & UV_READABLE) != 0 ? LOOP_READABLE : 0;
    ready |= (events & UV_WRITABLE) != 0 ? LOOP_WRITABLE : 0;
    poll->on_ready(poll->ctx, ready);
}

void loop_poll_want(struct loop_poll *poll, int events)
{
    if (poll->wanted == events) {
        return;
    }
    poll->wanted = events;
    if (events == 0) {
        (void)uv_poll_stop(&poll->handle);
        return;
    }
    int uv_events = (events & LOOP_READABLE) != 0 ? UV_READABLE : 0;
    uv_events |= (events & LOOP_WRITABLE) != 0 ? UV_WRITABLE : 0;
    (void)uv_poll_start(&poll->handle, uv_events, on_poll);
}

void loop_poll_free(struct loop_poll *poll)
{
    close_and_free(poll);
}

err_t loop_timer_new(struct loop *loop, void (*on_time)(void *ctx), void *ctx,
                     struct loop_timer **ret_timer)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));
    if (timer == NULL) {
        return FAIL_ERRNO("cannot allocate a timer of the event loop");
    }
    (void)uv_timer_init(&loop->uv, &timer->handle);
    timer->on_time = on_time;
    timer->ctx = ctx;
    *ret_timer = timer;
    return OK;
}

static void on_timer(uv_timer_t *handle)
{
    struct loop_timer *timer = (struct loop_timer *)handle;
    timer->on_time(timer->ctx);
}

void loop_timer_at(struct loop_timer *timer, int64_t at_ms)
{
    if (at_ms == INT64_MAX) {
        (void)uv_timer_stop(&timer->handle);
        return;
    }
    int64_t wait_ms = at_ms - clock_mono_ms();
    uv_update_time(timer->handle.loop); /* uv counts from the time it last looked */
    (void)uv_timer_start(&timer->handle, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

void loop_timer_free(struct loop_timer *timer)
{
    close_and_free(timer);
}

static void on_uv_signal(uv_signal_t *handle, int number)
{
    struct loop_signal *signal = (struct loop_signal *)handle;
    signal->on_signal(signal->ctx, number);
}

err_t loop_signal_new(struct loop *loop, int number, void (*on_signal)(void *ctx, int number),
                      void *ctx, struct loop_signal **ret_signal)
{
    struct loop_signal *signal = calloc(1, sizeof(*signal));
    if (signal == NULL) {
        return FAIL_ERRNO("cannot allocate a signal of the event loop");
    }
    int code = uv_signal_init(&loop->uv, &signal->handle);
    if (code != 0) {
        free(signal);
        return fail_uv(code);
    }
    signal->on_signal = on_signal;
    signal->ctx = ctx;
    code = uv_signal_start(&signal->handle, on_uv_signal, number);
    if (code != 0) {
        close_and_free(signal);
        return fail_uv(code);
    }
    *ret_signal = signal;
    return OK;
}

void loop_signal_free(struct loop_signal *signal)
{
    close_and_free(signal);
}

static void on_check(uv_check_t *handle)
{
    struct loop_turn *turn = handle->data;
    turn->on_turn(turn->ctx);
}

static void on_prepare(uv_prepare_t *handle)
{
    struct loop_turn *turn = handle->data;
    turn->on_turn(turn->ctx);
}

err_t loop_turn_new(struct loop *loop, void (*on_turn)(void *ctx), void *ctx,
                    struct loop_turn **ret_turn)
{
    struct loop_turn *turn = calloc(1, sizeof(*turn));
    if (turn == NULL) {
        return FAIL_ERRNO("cannot allocate a step of the event loop");
    }
    *turn = (struct loop_turn){.on_turn = on_turn, .ctx = ctx, .open = 2};
    (void)uv_check_init(&loop->uv, &turn->after_polls);
    (void)uv_prepare_init(&loop->uv, &turn->after_timers);
    turn->after_polls.data = turn;
    turn->after_timers.data = turn;
    (void)uv_check_start(&turn->after_polls, on_check);
    (void)uv_prepare_start(&turn->after_timers, on_prepare);
    *ret_turn = turn;
    return OK;
}

static void on_turn_closed(uv_handle_t *handle)
{
    struct loop_turn *turn = handle->data;
    if (--turn->open == 0) {
        free(turn);
    }
}

void loop_turn_free(struct loop_turn *turn)
{
    if (turn != NULL) {
        uv_close((uv_handle_t *)&turn->after_polls, on_turn_closed);
        uv_close((uv_handle_t *)&turn->after_timers, on_turn_closed);
    }
}
