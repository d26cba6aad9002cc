/*
 * lru: which slot of a bounded table belongs to a 32-byte key (a SHA-256), and which slot goes next
 * when the table is full. Holds no values: its owner keeps those in arrays of its own, by slot, and
 * wipes what lay in a slot that is handed out again.
 */
#ifndef SERVER_KMS_LRU_H
#define SERVER_KMS_LRU_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"

#define LRU_KEY_LEN 32u
#define LRU_NONE    SIZE_MAX

struct lru;

/* cap 0 is a table that never holds anything. */
MUST_USE err_t lru_new(size_t cap, struct lru **ret_lru);
void lru_free(struct lru *lru);
DEFINE_CLEANUP(struct lru *, lru_free)

/* Slot of this key, now the youngest; LRU_NONE when it is not here. */
size_t lru_find(struct lru *lru, const uint8_t key[LRU_KEY_LEN]);
/*
 * A slot for a key that is not here: a free one, or that of the oldest key that is not pinned,
 * which is forgotten. LRU_NONE when every slot is pinned or cap is 0.
 */
size_t lru_add(struct lru *lru, const uint8_t key[LRU_KEY_LEN]);
void lru_remove(struct lru *lru, size_t slot);
/* A pinned slot is never handed out again. Pins do not count: one unpin ends them. */
void lru_pin(struct lru *lru, size_t slot);
void lru_unpin(struct lru *lru, size_t slot);

/*
 * From the youngest to the oldest, pinned ones included: start with LRU_NONE, ends with LRU_NONE.
 */
size_t lru_next(const struct lru *lru, size_t slot);
const uint8_t *lru_key(const struct lru *lru, size_t slot);
size_t lru_count(const struct lru *lru);

#endif
