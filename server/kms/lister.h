/*
 * lister: one listing of the token at a time: in steady pace for the ring, and of all keys when a
 * call names a kek_id that is not known here, at most once a second.
 */
#ifndef SERVER_KMS_LISTER_H
#define SERVER_KMS_LISTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "token/client.h"
#include "server/kms/times.h"

#define LISTER_ALL_MS 1000

struct lister_events {
    void *ctx;
    /*
     * A listing has ended; `all`: of other AES keys too. Why it failed is logged already, but for a
     * token that is away. The reply is gone afterwards.
     */
    void (*on_listed)(void *ctx, const struct client_reply *reply, bool all);
};

struct lister {
    struct client *client;
    struct lister_events events;
    bool running;
    bool all; /* what runs lists other AES keys too */
    bool all_wanted;
    uint64_t *numbers;       /* listings of all keys that were started, by any lister */
    uint64_t all_running;    /* the number of the running one */
    uint64_t all_done;       /* that of the last one that completed; 0 none did */
    int64_t all_started_ms;  /* boot ms: of the last try to start one */
    bool failing;            /* said once per incident */
};

/* It must not move afterwards. */
void lister_init(struct lister *lister, struct client *client, uint64_t *numbers,
                 const struct lister_events *events);
/* Asks for a listing of all keys: another one, for the one that runs may have missed the key. */
void lister_want_all(struct lister *lister);
/*
 * When the next listing is due, given when rotation wants one; INT64_MAX while one runs. Boot ms.
 */
int64_t lister_due_ms(const struct lister *lister, int64_t list_at_ms);
/* Starts it. `serving` NULL: none. */
MUST_USE err_t lister_start(struct lister *lister, const char *ring,
                            const struct ipc_key_ref *serving, struct times now);

#endif
