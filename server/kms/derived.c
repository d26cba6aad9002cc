#include "server/kms/derived.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>

#include "server/kms/lru.h"

struct derived {
    struct lru *lru;
    struct secret **slots;
    size_t max;
};

err_t derived_new(size_t max, struct derived **ret_derived)
{
    CLEANUP(derived_free_p) struct derived *derived = calloc(1, sizeof(*derived));
    if (derived == NULL) {
        return FAIL_ERRNO("out of memory for the cache of derived keys");
    }
    derived->max = max;
    derived->slots = calloc(max + 1, sizeof(struct secret *));
    if (derived->slots == NULL) {
        return FAIL_ERRNO("out of memory for the cache of derived keys");
    }
    TRY(lru_new(max, &derived->lru));
    *ret_derived = TAKE(derived);
    return OK;
}

void derived_free(struct derived *derived)
{
    if (derived == NULL) {
        return;
    }
    for (size_t i = 0; derived->slots != NULL && i < derived->max; i++) {
        secret_free(derived->slots[i]);
    }
    free(derived->slots);
    lru_free(derived->lru);
    free(derived);
}

static bool key_of(struct span before_iv, uint8_t ret_key[LRU_KEY_LEN])
{
    return EVP_Digest(before_iv.ptr, before_iv.len, ret_key, NULL, EVP_sha256(), NULL) == 1;
}

struct span derived_find(struct derived *derived, struct span before_iv)
{
    uint8_t key[LRU_KEY_LEN];
    if (derived->max == 0 || !key_of(before_iv, key)) {
        return span_of(NULL, 0);
    }
    size_t slot = lru_find(derived->lru, key);
    return slot == LRU_NONE ? span_of(NULL, 0) : secret_view(derived->slots[slot]);
}

void derived_add(struct derived *derived, struct span before_iv, struct secret *keys)
{
    CLEANUP(secret_free_p) struct secret *owned = keys;
    uint8_t key[LRU_KEY_LEN];
    if (derived->max == 0 || !key_of(before_iv, key) || lru_find(derived->lru, key) != LRU_NONE) {
        return;
    }
    size_t slot = lru_add(derived->lru, key);
    if (slot == LRU_NONE) {
        return;
    }
    secret_free(TAKE(derived->slots[slot]));
    CLEANUP(secret_free_p) struct secret *kept = NULL;
    if (failed(secret_new(SECRET_DERIVED, secret_view(owned).len, &kept)) ||
        failed(secret_append(kept, secret_view(owned)))) {
        lru_remove(derived->lru, slot);
        return;
    }
    derived->slots[slot] = TAKE(kept);
}

size_t derived_count(const struct derived *derived)
{
    return lru_count(derived->lru);
}
