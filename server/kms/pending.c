#include "server/kms/pending.h"

#include <stdlib.h>

#include "server/kms/remember.h"

void pending_done(struct pending *pending)
{
    free(pending->names);
    free(pending->gone);
    *pending = (struct pending){0};
}

static err_t load(struct pending *pending, struct seal *seal, struct span bytes,
                  const uint8_t realm[ENVELOPE_REALM])
{
    pending->names = calloc(SEEDS_MAX, sizeof(*pending->names));
    pending->gone = calloc(SEEDS_MAX, sizeof(*pending->gone));
    if (pending->names == NULL || pending->gone == NULL) {
        return FAIL_ERRNO("out of memory for remembered seeds");
    }
    TRY(remember_parse(bytes, realm, pending->names, SEEDS_MAX, &pending->n));
    for (size_t i = 0; i < pending->n; i++) {
        struct seed_name *name = &pending->names[i];
        TRY(seal_seed_key(seal, &name->head, seed_name_wrapped(name), name->key));
    }
    pending->left = pending->n;
    return OK;
}

err_t pending_load(struct pending *pending, struct seal *seal, struct span bytes,
                   const uint8_t realm[ENVELOPE_REALM])
{
    pending_done(pending);
    err_t err = load(pending, seal, bytes, realm);
    if (failed(err)) {
        pending_done(pending);
    }
    return err;
}

static size_t index_of(const struct pending *pending, const uint8_t key[32])
{
    for (size_t i = 0; pending->left > 0 && i < pending->n; i++) {
        if (!pending->gone[i] && span_equal(span_of(pending->names[i].key, 32), span_of(key, 32))) {
            return i;
        }
    }
    return SIZE_MAX;
}

const struct seed_name *pending_find(const struct pending *pending, const uint8_t key[32])
{
    size_t at = index_of(pending, key);
    return at == SIZE_MAX ? NULL : &pending->names[at];
}

void pending_remove(struct pending *pending, const uint8_t key[32])
{
    size_t at = index_of(pending, key);
    if (at != SIZE_MAX) {
        pending->gone[at] = true;
        pending->left--;
    }
}

const struct seed_name *pending_next(struct pending *pending)
{
    if (pending->left == 0) {
        return NULL;
    }
    while (pending->gone[pending->next]) {
        pending->next = (pending->next + 1) % pending->n;
    }
    const struct seed_name *name = &pending->names[pending->next];
    pending->next = (pending->next + 1) % pending->n;
    return name;
}

int64_t seed_age_s(const struct envelope_head *head, int64_t now_s)
{
    uint32_t since = head->born > head->activation ? head->born : head->activation;
    return now_s - (int64_t)since;
}

static bool is_young(const struct envelope_head *head, int64_t now_s, int64_t life_s)
{
    return (int64_t)head->born <= now_s && seed_age_s(head, now_s) < life_s;
}

const struct seed_name *pending_young(const struct pending *pending, const struct ring_key *key,
                                      int64_t now_s, int64_t life_s)
{
    const struct seed_name *best = NULL;
    for (size_t i = 0; pending->left > 0 && i < pending->n; i++) {
        const struct seed_name *name = &pending->names[i];
        bool fits =
            !pending->gone[i] && name->own && name->head.activation == key->not_before &&
            span_equal(span_of(name->head.kek_id, KEK_ID_LEN), span_of(key->kek_id, KEK_ID_LEN)) &&
            is_young(&name->head, now_s, life_s);
        if (fits && (best == NULL || name->head.born > best->head.born)) {
            best = name;
        }
    }
    return best;
}

const struct seed_name *pending_each(const struct pending *pending, size_t *at)
{
    while (*at < pending->n && pending->gone[*at]) {
        (*at)++;
    }
    return *at < pending->n ? &pending->names[(*at)++] : NULL;
}
