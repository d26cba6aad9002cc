#include "server/kms/seeds.h"

#include <stdlib.h>

#include "server/kms/lru.h"

struct seeds {
    struct lru *lru;
    struct seed *slots;
    size_t max;
};

err_t seed_name_of(struct seal *seal, const struct envelope_head *head, struct span wrapped,
                   bool own, struct seed_name *ret_name)
{
    if (wrapped.len == 0 || wrapped.len > ENVELOPE_WRAPPED_MAX) {
        return FAIL(E_INVALID, "not a wrapped seed");
    }
    struct seed_name name = {.head = *head, .own = own, .wrapped_len = (uint16_t)wrapped.len};
    name.head.api = 0;
    span_move(name.wrapped, wrapped.ptr, wrapped.len);
    TRY(seal_seed_key(seal, head, wrapped, name.key));
    *ret_name = name;
    return OK;
}

struct span seed_name_wrapped(const struct seed_name *name)
{
    return span_of(name->wrapped, name->wrapped_len);
}

err_t seeds_new(size_t max, struct seeds **ret_seeds)
{
    CLEANUP(seeds_free_p) struct seeds *seeds = calloc(1, sizeof(*seeds));
    if (seeds == NULL) {
        return FAIL_ERRNO("out of memory for the seed cache");
    }
    seeds->max = max;
    seeds->slots = calloc(max, sizeof(*seeds->slots));
    if (seeds->slots == NULL) {
        return FAIL_ERRNO("out of memory for the seed cache");
    }
    TRY(lru_new(max, &seeds->lru));
    *ret_seeds = TAKE(seeds);
    return OK;
}

void seeds_free(struct seeds *seeds)
{
    if (seeds == NULL) {
        return;
    }
    for (size_t i = 0; seeds->slots != NULL && i < seeds->max; i++) {
        secret_free(seeds->slots[i].bytes);
    }
    free(seeds->slots);
    lru_free(seeds->lru);
    free(seeds);
}

const struct seed *seeds_find(struct seeds *seeds, const uint8_t key[32])
{
    size_t slot = lru_find(seeds->lru, key);
    return slot == LRU_NONE ? NULL : &seeds->slots[slot];
}

/*
 * Takes a slot whose old seed is wiped first, so that its block of the arena is free for the new
 * one.
 */
static err_t fill_slot(struct seed *slot, const struct seed_name *name, struct span bytes)
{
    secret_free(TAKE(slot->bytes));
    CLEANUP(secret_free_p) struct secret *secret = NULL;
    TRY(secret_new(SECRET_SEED, bytes.len, &secret));
    TRY(secret_append(secret, bytes));
    *slot = (struct seed){.name = *name, .bytes = TAKE(secret)};
    return OK;
}

err_t seeds_add(struct seeds *seeds, const struct seed_name *name, struct span seed,
                const struct seed **ret_seed)
{
    if (seed.len != SEED_LEN) {
        return FAIL(E_CRYPTO, "a wrapped seed that holds no seed");
    }
    size_t slot = lru_find(seeds->lru, name->key);
    if (slot != LRU_NONE && seeds->slots[slot].confirmed) {
        seeds->slots[slot].name.own |= name->own;
        *ret_seed = &seeds->slots[slot];
        return OK;
    }
    slot = slot != LRU_NONE ? slot : lru_add(seeds->lru, name->key);
    if (slot == LRU_NONE) {
        return FAIL(E_LIMIT, "no room for a seed");
    }
    err_t err = fill_slot(&seeds->slots[slot], name, seed);
    if (failed(err)) {
        lru_remove(seeds->lru, slot);
        return err;
    }
    *ret_seed = &seeds->slots[slot];
    return OK;
}

static size_t slot_of(const struct seeds *seeds, const struct seed *seed)
{
    return seed == NULL ? LRU_NONE : (size_t)(seed - seeds->slots);
}

void seeds_confirm(struct seeds *seeds, const struct seed *seed)
{
    seeds->slots[slot_of(seeds, seed)].confirmed = true;
}

void seeds_mark_reopened(struct seeds *seeds, const struct seed *seed, int64_t boot_ms)
{
    seeds->slots[slot_of(seeds, seed)].reopened_ms = boot_ms;
}

void seeds_drop(struct seeds *seeds, const struct seed *seed)
{
    size_t slot = slot_of(seeds, seed);
    secret_free(TAKE(seeds->slots[slot].bytes));
    lru_remove(seeds->lru, slot);
}

void seeds_pin(struct seeds *seeds, const struct seed *seed)
{
    lru_pin(seeds->lru, slot_of(seeds, seed));
}

void seeds_unpin(struct seeds *seeds, const struct seed *seed)
{
    lru_unpin(seeds->lru, slot_of(seeds, seed));
}

const struct seed *seeds_next(const struct seeds *seeds, const struct seed *seed)
{
    size_t slot = lru_next(seeds->lru, slot_of(seeds, seed));
    return slot == LRU_NONE ? NULL : &seeds->slots[slot];
}

size_t seeds_count(const struct seeds *seeds)
{
    return lru_count(seeds->lru);
}
