#define _GNU_SOURCE
#include "pkcs11/watchdog.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pkcs11/lost.h"
#include "pkcs11/thread.h"

#define SLOTS     80u /* threads: workers, the starter, main */
#define PERIOD_MS 200

struct slot {
    _Atomic int64_t deadline_ms; /* 0: not in the module */
    _Atomic(const char *) call;
};

static struct slot slots[SLOTS];
static atomic_uint slots_taken;
static _Thread_local struct slot *own;
static _Thread_local bool held;

static struct slot *own_slot(void)
{
    if (own == NULL) {
        unsigned i = atomic_fetch_add(&slots_taken, 1);
        own = &slots[i < SLOTS ? i : SLOTS - 1];
    }
    return own;
}

void watch_enter(const char *call)
{
    struct slot *slot = own_slot();
    atomic_store(&slot->call, call);
    if (!held) {
        atomic_store(&slot->deadline_ms, clock_mono_ms() + WATCH_CALL_MS);
    }
}

void watch_leave(void)
{
    if (!held) {
        atomic_store(&own_slot()->deadline_ms, 0);
    }
}

void watch_hold(const char *what, uint32_t limit_ms)
{
    struct slot *slot = own_slot();
    held = true;
    atomic_store(&slot->call, what);
    atomic_store(&slot->deadline_ms, clock_mono_ms() + limit_ms);
}

void watch_release(void)
{
    held = false;
    atomic_store(&own_slot()->deadline_ms, 0);
}

const char *watch_overdue(int64_t now_ms)
{
    for (size_t i = 0; i < SLOTS; i++) {
        int64_t deadline_ms = atomic_load(&slots[i].deadline_ms);
        if (deadline_ms != 0 && deadline_ms < now_ms) {
            return atomic_load(&slots[i].call);
        }
    }
    return NULL;
}

static void *watch(void *unused)
{
    (void)unused;
    for (;;) {
        (void)poll(NULL, 0, PERIOD_MS);
        const char *call = watch_overdue(clock_mono_ms());
        if (call == NULL) {
            continue;
        }
        log_event(EVENT_TOKEN_HUNG, LOG_TEXT("call", call));
        _exit(TOKEN_EXIT_HUNG);
    }
    return NULL;
}

err_t watch_start(void)
{
    return thread_start(watch, NULL);
}
