/*
 * client_queue: the calls of a client: those that wait, by class and then by age, and those that a
 * session of the token is busy with. Sends nothing and calls nobody back.
 */
#ifndef TOKEN_CLIENT_QUEUE_H
#define TOKEN_CLIENT_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "token/client_job.h"

struct queue {
    struct job_list waiting[CLIENT_CLASSES];
    struct job_list running;
    size_t waiting_n;
    size_t running_n;
};

void queue_init(struct queue *queue);
/* Frees every job. */
void queue_done(struct queue *queue);

void queue_add(struct queue *queue, struct job *job);
/* Running from now on, under this number (never 0). */
void queue_start(struct queue *queue, struct job *job, uint64_t number);
/* From running back to the head of its class. */
void queue_recall(struct queue *queue, struct job *job);
/* Out of the queue: the job is the caller's. */
void queue_remove(struct queue *queue, struct job *job);

/* All of these may find NULL. Abandoned jobs are found by number only. */
struct job *queue_next(const struct queue *queue);
struct job *queue_youngest_running(const struct queue *queue);
struct job *queue_by_number(const struct queue *queue, uint64_t number);
struct job *queue_by_ctx(const struct queue *queue, const void *ctx);
struct job *queue_expired(const struct queue *queue, int64_t now_ms);

/* An abandoned job whose deadline passed before this time. */
struct job *queue_stale(const struct queue *queue, int64_t before_ms);

/* The earliest deadline that somebody waits for; INT64_MAX: none. */
int64_t queue_deadline_ms(const struct queue *queue);

#endif
