#define _GNU_SOURCE
#include "pkcs11/pool.h"

#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "pkcs11/rv.h"
#include "pkcs11/serve.h"
#include "pkcs11/thread.h"

struct waiting {
    unsigned peer;
    struct request request;
    struct secret *frame; /* what the request borrows from */
    int64_t deadline_ms;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct waiting waiting[POOL_WAITING_MAX]; /* a ring */
    size_t first;
    size_t n;
    unsigned busy;
    bool stopping;
    struct session sessions[POOL_WORKERS_MAX];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

bool pool_submit(unsigned peer, const struct request *request, struct secret *frame)
{
    (void)pthread_mutex_lock(&pool.lock);
    bool room = pool.n < POOL_WAITING_MAX && !pool.stopping;
    if (room) {
        struct waiting *last = &pool.waiting[(pool.first + pool.n) % POOL_WAITING_MAX];
        *last = (struct waiting){.peer = peer,
                                 .request = *request,
                                 .frame = frame,
                                 .deadline_ms = clock_mono_ms() + request->header.remaining_ms};
        pool.n++;
        (void)pthread_cond_signal(&pool.work);
    }
    (void)pthread_mutex_unlock(&pool.lock);
    return room;
}

/* False: stop. */
static bool next(struct waiting *ret_waiting)
{
    (void)pthread_mutex_lock(&pool.lock);
    while (pool.n == 0 && !pool.stopping) {
        (void)pthread_cond_wait(&pool.work, &pool.lock);
    }
    bool found = !pool.stopping;
    if (found) {
        *ret_waiting = pool.waiting[pool.first];
        pool.first = (pool.first + 1) % POOL_WAITING_MAX;
        pool.n--;
        pool.busy++;
    }
    (void)pthread_mutex_unlock(&pool.lock);
    return found;
}

static void *work(void *arg)
{
    struct session *session = arg;
    struct waiting next_one;
    while (next(&next_one)) {
        serve_request(session, next_one.peer, &next_one.request, next_one.deadline_ms);
        secret_free(next_one.frame);
        (void)pthread_mutex_lock(&pool.lock);
        pool.busy--;
        (void)pthread_mutex_unlock(&pool.lock);
    }
    return NULL;
}

static err_t start_worker(const struct module *module, const struct token *token, unsigned i)
{
    pool.sessions[i] = (struct session){.module = module, .token = token};
    TRY(session_open(&pool.sessions[i], false));
    err_t err = thread_start(work, &pool.sessions[i]);
    if (failed(err)) {
        session_close(&pool.sessions[i]);
    }
    return err;
}

err_t pool_open(const struct module *module, const struct token *token, unsigned sessions,
                unsigned *ret_opened)
{
    unsigned opened = 0;
    err_t err = OK;
    while (opened < sessions && opened < POOL_WORKERS_MAX) {
        err = start_worker(module, token, opened);
        if (failed(err)) {
            break;
        }
        opened++;
    }
    if (opened == 0) {
        return err;
    }
    *ret_opened = opened;
    return OK;
}

bool pool_stop(int wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    for (;;) {
        (void)pthread_mutex_lock(&pool.lock);
        pool.stopping = true;
        (void)pthread_cond_broadcast(&pool.work);
        bool idle = pool.busy == 0;
        (void)pthread_mutex_unlock(&pool.lock);
        if (idle || clock_mono_ms() >= until_ms) {
            return idle;
        }
        (void)poll(NULL, 0, 5);
    }
}
