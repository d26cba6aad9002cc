#include "server/kms/negative.h"

#include <stdlib.h>

#include "server/kms/lru.h"

struct negative {
    struct lru *lru;
    int64_t until_ms[NEGATIVE_MAX];
};

err_t negative_new(struct negative **ret_negative)
{
    CLEANUP(negative_free_p) struct negative *negative = calloc(1, sizeof(*negative));
    if (negative == NULL) {
        return FAIL_ERRNO("out of memory for the negative cache");
    }
    TRY(lru_new(NEGATIVE_MAX, &negative->lru));
    *ret_negative = TAKE(negative);
    return OK;
}

void negative_free(struct negative *negative)
{
    if (negative == NULL) {
        return;
    }
    lru_free(negative->lru);
    free(negative);
}

void negative_add(struct negative *negative, const uint8_t key[32], int64_t boot_ms)
{
    size_t slot = lru_find(negative->lru, key);
    slot = slot == LRU_NONE ? lru_add(negative->lru, key) : slot;
    negative->until_ms[slot] = boot_ms + NEGATIVE_MS;
}

bool negative_has(struct negative *negative, const uint8_t key[32], int64_t boot_ms)
{
    size_t slot = lru_find(negative->lru, key);
    if (slot == LRU_NONE) {
        return false;
    }
    if (boot_ms < negative->until_ms[slot]) {
        return true;
    }
    lru_remove(negative->lru, slot);
    return false;
}
