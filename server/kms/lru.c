#include "server/kms/lru.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/span.h"

struct node {
    TAILQ_ENTRY(node) age;
    SLIST_ENTRY(node) bucket;
    bool used;
    bool pinned;
    uint8_t key[LRU_KEY_LEN];
};

TAILQ_HEAD(age_list, node);
SLIST_HEAD(bucket_list, node);

struct lru {
    size_t cap;
    size_t count;
    size_t fresh; /* nodes from here on were never used: their pages cost nothing yet */
    size_t mask; /* buckets - 1 */
    struct node *nodes;
    struct bucket_list *buckets;
    struct age_list young_first;
    struct age_list unused;
};

static size_t bucket_count(size_t cap)
{
    size_t n = 1;
    while (n < cap * 2) {
        n *= 2;
    }
    return n;
}

err_t lru_new(size_t cap, struct lru **ret_lru)
{
    CLEANUP(lru_free_p) struct lru *lru = calloc(1, sizeof(*lru));
    if (lru == NULL) {
        return FAIL_ERRNO("out of memory for a table");
    }
    size_t buckets = bucket_count(cap);
    lru->cap = cap;
    lru->mask = buckets - 1;
    lru->nodes = calloc(cap + 1, sizeof(*lru->nodes));
    lru->buckets = calloc(buckets, sizeof(*lru->buckets));
    if (lru->nodes == NULL || lru->buckets == NULL) {
        return FAIL_ERRNO("out of memory for a table");
    }
    TAILQ_INIT(&lru->young_first);
    TAILQ_INIT(&lru->unused);
    *ret_lru = TAKE(lru);
    return OK;
}

void lru_free(struct lru *lru)
{
    if (lru == NULL) {
        return;
    }
    free(lru->nodes);
    free(lru->buckets);
    free(lru);
}

/* Keys are SHA-256: any bytes of them are spread well enough. */
static struct bucket_list *bucket_of(struct lru *lru, const uint8_t key[LRU_KEY_LEN])
{
    size_t hash = 0;
    for (size_t i = 0; i < sizeof(uint32_t); i++) {
        hash = hash << 8 | key[i];
    }
    return &lru->buckets[hash & lru->mask];
}

static size_t slot_of(const struct lru *lru, const struct node *node)
{
    return node == NULL ? LRU_NONE : (size_t)(node - lru->nodes);
}

size_t lru_find(struct lru *lru, const uint8_t key[LRU_KEY_LEN])
{
    struct node *node;
    SLIST_FOREACH (node, bucket_of(lru, key), bucket) {
        if (span_equal(span_of(node->key, LRU_KEY_LEN), span_of(key, LRU_KEY_LEN))) {
            TAILQ_REMOVE(&lru->young_first, node, age);
            TAILQ_INSERT_HEAD(&lru->young_first, node, age);
            return slot_of(lru, node);
        }
    }
    return LRU_NONE;
}

static void forget(struct lru *lru, struct node *node)
{
    SLIST_REMOVE(bucket_of(lru, node->key), node, node, bucket);
    TAILQ_REMOVE(&lru->young_first, node, age);
    TAILQ_INSERT_HEAD(&lru->unused, node, age);
    node->used = false;
    node->pinned = false;
    lru->count--;
}

/* The oldest that may go. */
static struct node *victim(struct lru *lru)
{
    struct node *node;
    TAILQ_FOREACH_REVERSE (node, &lru->young_first, age_list, age) {
        if (!node->pinned) {
            return node;
        }
    }
    return NULL;
}

size_t lru_add(struct lru *lru, const uint8_t key[LRU_KEY_LEN])
{
    if (TAILQ_EMPTY(&lru->unused) && lru->fresh < lru->cap) {
        struct node *never_used = &lru->nodes[lru->fresh++];
        TAILQ_INSERT_HEAD(&lru->unused, never_used, age);
    }
    if (TAILQ_EMPTY(&lru->unused)) {
        struct node *oldest = victim(lru);
        if (oldest == NULL) {
            return LRU_NONE;
        }
        forget(lru, oldest);
    }
    struct node *node = TAILQ_FIRST(&lru->unused);
    TAILQ_REMOVE(&lru->unused, node, age);
    span_move(node->key, key, LRU_KEY_LEN);
    node->used = true;
    SLIST_INSERT_HEAD(bucket_of(lru, key), node, bucket);
    TAILQ_INSERT_HEAD(&lru->young_first, node, age);
    lru->count++;
    return slot_of(lru, node);
}

void lru_remove(struct lru *lru, size_t slot)
{
    if (slot < lru->cap && lru->nodes[slot].used) {
        forget(lru, &lru->nodes[slot]);
    }
}

void lru_pin(struct lru *lru, size_t slot)
{
    lru->nodes[slot].pinned = true;
}

void lru_unpin(struct lru *lru, size_t slot)
{
    lru->nodes[slot].pinned = false;
}

size_t lru_next(const struct lru *lru, size_t slot)
{
    return slot_of(lru, slot == LRU_NONE ? TAILQ_FIRST(&lru->young_first)
                                         : TAILQ_NEXT(&lru->nodes[slot], age));
}

const uint8_t *lru_key(const struct lru *lru, size_t slot)
{
    return lru->nodes[slot].key;
}

size_t lru_count(const struct lru *lru)
{
    return lru->count;
}
