#include "server/kms/ring_keys.h"

#include "token/listing.h"

size_t ring_keys_of(const struct config *config, size_t token, const struct client_reply *reply,
                    struct refused *refused, struct ring_key ret_keys[ROTATION_KEYS_MAX])
{
    size_t taken = 0;
    refused_begin(refused);
    for (size_t i = 0; i < reply->keys_n && taken < ROTATION_KEYS_MAX; i++) {
        struct listing_key judged;
        listing_judge(&reply->keys[i], config->ring, &config->tokens[token], &judged);
        refused_take(refused, &reply->keys[i], &judged);
        if (judged.place == LISTING_IN_RING || judged.place == LISTING_UNNAMED) {
            ret_keys[taken++] = judged.ring;
        }
    }
    return taken;
}
