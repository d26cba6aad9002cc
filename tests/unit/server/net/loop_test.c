#include "server/net/loop.h"

#include <signal.h>

#include "base/clock.h"
#include "tests/kit/unit.h"

struct seen {
    struct loop *loop;
    unsigned times;
    unsigned turns;
    int events;
    int number;
    struct loop_poll *to_free;
};

static void on_ready(void *ctx, int events)
{
    struct seen *seen = ctx;
    seen->times++;
    seen->events = events;
    loop_poll_free(TAKE(seen->to_free));
}

static void on_time(void *ctx)
{
    struct seen *seen = ctx;
    seen->times++;
    loop_stop(seen->loop);
}

static void on_signal(void *ctx, int number)
{
    ((struct seen *)ctx)->number = number;
}

static void on_turn(void *ctx)
{
    ((struct seen *)ctx)->turns++;
}

static void test_poll_tells_only_of_what_is_wanted(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct loop_poll *poll = NULL;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_ok(loop_new(&seen.loop));
    assert_ok(loop_poll_new(seen.loop, ends[0], on_ready, &seen, &poll));
    assert_int_equal(write(ends[1], "x", 1), 1);
    loop_run_once(seen.loop, false);
    assert_int_equal(seen.times, 0);
    loop_poll_want(poll, LOOP_READABLE);
    loop_run_once(seen.loop, false);
    assert_int_equal(seen.times, 1);
    assert_int_equal(seen.events, LOOP_READABLE);
    loop_poll_want(poll, 0);
    loop_run_once(seen.loop, false);
    assert_int_equal(seen.times, 1);
    loop_poll_free(poll);
    (void)close(ends[0]); /* at once: the loop has let go of it */
    (void)close(ends[1]);
    loop_free(seen.loop);
}

static void test_poll_may_be_freed_from_within_its_callback(void **state)
{
    (void)state;
    struct seen seen = {0};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_ok(loop_new(&seen.loop));
    assert_ok(loop_poll_new(seen.loop, ends[1], on_ready, &seen, &seen.to_free));
    loop_poll_want(seen.to_free, LOOP_WRITABLE);
    loop_run_once(seen.loop, false);
    loop_run_once(seen.loop, false);
    assert_int_equal(seen.times, 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
    loop_free(seen.loop);
}

static void test_timer_fires_once_and_not_when_taken_back(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct loop_timer *timer = NULL;
    assert_ok(loop_new(&seen.loop));
    assert_ok(loop_timer_new(seen.loop, on_time, &seen, &timer));
    loop_timer_at(timer, clock_mono_ms() - 5);
    loop_timer_at(timer, INT64_MAX);
    loop_run_once(seen.loop, false);
    assert_int_equal(seen.times, 0);
    int64_t began_ms = clock_mono_ms();
    loop_timer_at(timer, began_ms + 60000);
    loop_timer_at(timer, began_ms + 20);
    loop_run(seen.loop);
    assert_int_equal(seen.times, 1);
    assert_true(clock_mono_ms() - began_ms >= 15);
    loop_run_once(seen.loop, false);
    assert_int_equal(seen.times, 1);
    loop_timer_free(timer);
    loop_free(seen.loop);
}

static void test_signal_is_told_in_the_loop(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct loop_signal *usr1 = NULL;
    assert_ok(loop_new(&seen.loop));
    assert_ok(loop_signal_new(seen.loop, SIGUSR1, on_signal, &seen, &usr1));
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(seen.number, 0);
    loop_run_once(seen.loop, true);
    assert_int_equal(seen.number, SIGUSR1);
    loop_signal_free(usr1);
    loop_free(seen.loop);
}

static void test_turn_is_called_in_every_wake_up(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct loop_turn *turn = NULL;
    assert_ok(loop_new(&seen.loop));
    assert_ok(loop_turn_new(seen.loop, on_turn, &seen, &turn));
    loop_run_once(seen.loop, false);
    unsigned first = seen.turns;
    loop_run_once(seen.loop, false);
    assert_true(first >= 1 && seen.turns > first);
    loop_turn_free(turn);
    loop_free(seen.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_poll_tells_only_of_what_is_wanted),
        cmocka_unit_test(test_poll_may_be_freed_from_within_its_callback),
        cmocka_unit_test(test_timer_fires_once_and_not_when_taken_back),
        cmocka_unit_test(test_signal_is_told_in_the_loop),
        cmocka_unit_test(test_turn_is_called_in_every_wake_up),
    };
    return cmocka_run_group_tests_name("net/loop", tests, NULL, NULL);
}
