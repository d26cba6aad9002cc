/*
 * loop: the one event loop of the front: descriptors, one-shot timers, signals, and a step at the
 * end of each wake-up. A thin cover of libuv, so that only this file knows it. One thread.
 *
 * Everything made here is freed before its loop; freeing from within its own callback is fine.
 */
#ifndef SERVER_NET_LOOP_H
#define SERVER_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"

enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2, LOOP_BROKEN = 4 };

struct loop;
struct loop_poll;
struct loop_timer;
struct loop_signal;
struct loop_turn;

MUST_USE err_t loop_new(struct loop **ret_loop);
/* Finishes what was freed before it. NULL is fine. */
void loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_free)
/* Until loop_stop. */
void loop_run(struct loop *loop);
/* One wake-up, without waiting when `wait` is false. For tests. */
void loop_run_once(struct loop *loop, bool wait);
void loop_stop(struct loop *loop);

/*
 * Watches fd, which stays the caller's and outlives the poll. Nothing is awaited until
 * loop_poll_want.
 */
MUST_USE err_t loop_poll_new(struct loop *loop, int fd, void (*on_ready)(void *ctx, int events),
                             void *ctx, struct loop_poll **ret_poll);
/* LOOP_READABLE | LOOP_WRITABLE, or 0 for neither. LOOP_BROKEN may come with either. */
void loop_poll_want(struct loop_poll *poll, int events);
void loop_poll_free(struct loop_poll *poll);

MUST_USE err_t loop_timer_new(struct loop *loop, void (*on_time)(void *ctx), void *ctx,
                              struct loop_timer **ret_timer);
/*
 * Fires once at this CLOCK_MONOTONIC time or soon after; INT64_MAX: not at all. Replaces what was
 * set.
 */
void loop_timer_at(struct loop_timer *timer, int64_t at_ms);
void loop_timer_free(struct loop_timer *timer);

MUST_USE err_t loop_signal_new(struct loop *loop, int number,
                               void (*on_signal)(void *ctx, int number), void *ctx,
                               struct loop_signal **ret_signal);
void loop_signal_free(struct loop_signal *signal);

/*
 * Called after the descriptors and after the timers of a wake-up: the place for work done in
 * batches.
 */
MUST_USE err_t loop_turn_new(struct loop *loop, void (*on_turn)(void *ctx), void *ctx,
                             struct loop_turn **ret_turn);
void loop_turn_free(struct loop_turn *turn);

#endif
