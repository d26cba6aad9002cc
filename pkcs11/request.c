#include "pkcs11/request.h"

#include <string.h>

#define RANDOM_MAX 256u

static bool ends(const char *text, size_t room)
{
    return memchr(text, '\0', room) != NULL;
}

static bool ref_fits(const struct ipc_key_ref *ref)
{
    return ref->id_len >= 1 && ref->id_len <= IPC_ID_MAX &&
           ref->fingerprint_len <= IPC_FINGERPRINT_MAX;
}

bool request_crypt(struct span payload, struct request *ret_request)
{
    struct ipc_crypt *ask = &ret_request->ask.crypt;
    if (payload.len < sizeof(*ask)) {
        return false;
    }
    span_move(ask, payload.ptr, sizeof(*ask));
    ret_request->data = span_of(payload.ptr + sizeof(*ask), payload.len - sizeof(*ask));
    return ref_fits(&ask->key) && ask->aad_len <= IPC_AAD_MAX && ask->data_len > 0 &&
           ret_request->data.len == ask->data_len;
}

bool request_list(struct span payload, struct request *ret_request)
{
    struct ipc_list *ask = &ret_request->ask.list;
    if (payload.len != sizeof(*ask)) {
        return false;
    }
    span_move(ask, payload.ptr, sizeof(*ask));
    return ends(ask->ring, sizeof(ask->ring)) && (ask->has_serving == 0 || ref_fits(&ask->serving));
}

bool request_generate(struct span payload, struct request *ret_request)
{
    struct ipc_generate *ask = &ret_request->ask.generate;
    if (payload.len != sizeof(*ask)) {
        return false;
    }
    span_move(ask, payload.ptr, sizeof(*ask));
    return ends(ask->ring, sizeof(ask->ring)) && ask->ring[0] != '\0' &&
           ask->limit_s <= IPC_GENERATE_MAX_S;
}

bool request_random(struct span payload, struct request *ret_request)
{
    struct ipc_random *ask = &ret_request->ask.random;
    if (payload.len != sizeof(*ask)) {
        return false;
    }
    span_move(ask, payload.ptr, sizeof(*ask));
    return ask->n >= 1 && ask->n <= RANDOM_MAX;
}

bool request_empty(struct span payload, struct request *ret_request)
{
    (void)ret_request;
    return payload.len == 0;
}
