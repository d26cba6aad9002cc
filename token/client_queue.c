#include "token/client_queue.h"

void queue_init(struct queue *queue)
{
    *queue = (struct queue){0};
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        TAILQ_INIT(&queue->waiting[i]);
    }
    TAILQ_INIT(&queue->running);
}

static void free_list(struct job_list *list)
{
    struct job *job;
    while ((job = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, job, link);
        job_free(job);
    }
}

void queue_done(struct queue *queue)
{
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        free_list(&queue->waiting[i]);
    }
    free_list(&queue->running);
    queue->waiting_n = 0;
    queue->running_n = 0;
}

void queue_add(struct queue *queue, struct job *job)
{
    TAILQ_INSERT_TAIL(&queue->waiting[job->class], job, link);
    queue->waiting_n++;
}

void queue_remove(struct queue *queue, struct job *job)
{
    if (job->number == 0) {
        TAILQ_REMOVE(&queue->waiting[job->class], job, link);
        queue->waiting_n--;
    } else {
        TAILQ_REMOVE(&queue->running, job, link);
        queue->running_n--;
    }
}

void queue_start(struct queue *queue, struct job *job, uint64_t number)
{
    queue_remove(queue, job);
    job->number = number;
    TAILQ_INSERT_TAIL(&queue->running, job, link);
    queue->running_n++;
}

void queue_recall(struct queue *queue, struct job *job)
{
    queue_remove(queue, job);
    job_rewind(job);
    TAILQ_INSERT_HEAD(&queue->waiting[job->class], job, link);
    queue->waiting_n++;
}

struct job *queue_next(const struct queue *queue)
{
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        if (!TAILQ_EMPTY(&queue->waiting[i])) {
            return TAILQ_FIRST(&queue->waiting[i]);
        }
    }
    return NULL;
}

struct job *queue_youngest_running(const struct queue *queue)
{
    return TAILQ_LAST(&queue->running, job_list);
}

struct job *queue_by_number(const struct queue *queue, uint64_t number)
{
    struct job *job;
    TAILQ_FOREACH(job, &queue->running, link)
    {
        if (job->number == number) {
            break;
        }
    }
    return job;
}

static struct job *ctx_in(const struct job_list *list, const void *ctx)
{
    struct job *job;
    TAILQ_FOREACH(job, list, link)
    {
        if (!job->abandoned && job->ctx == ctx) {
            break;
        }
    }
    return job;
}

struct job *queue_by_ctx(const struct queue *queue, const void *ctx)
{
    struct job *job = ctx_in(&queue->running, ctx);
    for (int i = 0; i < CLIENT_CLASSES && job == NULL; i++) {
        job = ctx_in(&queue->waiting[i], ctx);
    }
    return job;
}

static struct job *first_due(const struct job_list *list, struct job *best)
{
    struct job *job;
    TAILQ_FOREACH(job, list, link)
    {
        if (!job->abandoned && (best == NULL || job->deadline_ms < best->deadline_ms)) {
            best = job;
        }
    }
    return best;
}

static struct job *soonest(const struct queue *queue)
{
    struct job *best = first_due(&queue->running, NULL);
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        best = first_due(&queue->waiting[i], best);
    }
    return best;
}

struct job *queue_expired(const struct queue *queue, int64_t now_ms)
{
    struct job *job = soonest(queue);
    return job != NULL && job->deadline_ms <= now_ms ? job : NULL;
}

struct job *queue_stale(const struct queue *queue, int64_t before_ms)
{
    struct job *job;
    TAILQ_FOREACH(job, &queue->running, link)
    {
        if (job->abandoned && job->deadline_ms < before_ms) {
            break;
        }
    }
    return job;
}

int64_t queue_deadline_ms(const struct queue *queue)
{
    const struct job *job = soonest(queue);
    return job == NULL ? INT64_MAX : job->deadline_ms;
}
