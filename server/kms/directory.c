#include "server/kms/directory.h"

#include "base/span.h"
#include "token/listing.h"

static size_t index_of(const struct directory *directory, const uint8_t kek_id[KEK_ID_LEN])
{
    for (size_t i = 0; i < directory->n; i++) {
        if (span_equal(span_of(directory->entries[i].kek_id, KEK_ID_LEN),
                       span_of(kek_id, KEK_ID_LEN))) {
            return i;
        }
    }
    return DIRECTORY_MAX;
}

static void put(struct directory *directory, const uint8_t kek_id[KEK_ID_LEN],
                const struct ipc_key_ref *ref)
{
    if (index_of(directory, kek_id) != DIRECTORY_MAX) {
        return;
    }
    size_t at = directory->next;
    directory->next = (at + 1) % DIRECTORY_MAX;
    directory->n += directory->n < DIRECTORY_MAX ? 1 : 0;
    span_move(directory->entries[at].kek_id, kek_id, KEK_ID_LEN);
    directory->entries[at].ref = *ref;
}

void directory_take(struct directory *directory, const struct ipc_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t kek_id[KEK_ID_LEN];
        if (!failed(listing_kek_id(&keys[i], kek_id))) {
            put(directory, kek_id, &keys[i].ref);
        }
    }
}

const struct ipc_key_ref *directory_find(const struct directory *directory,
                                         const uint8_t kek_id[KEK_ID_LEN])
{
    size_t at = index_of(directory, kek_id);
    return at == DIRECTORY_MAX ? NULL : &directory->entries[at].ref;
}
