#include "server/kms/unread.h"

#include <stdio.h>

static bool may_be_of(const struct ipc_key *key, const char *ring)
{
    return ipc_key_unnamed(key) || ipc_key_of_ring(key, ring);
}

void unread_take(struct unread *unread, const struct ipc_key *keys, size_t n, const char *ring,
                 bool all)
{
    bool any = false;
    unread->text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (keys[i].state != IPC_KEY_UNREADABLE) {
            continue;
        }
        any = true;
        if (unread->text[0] == '\0' && may_be_of(&keys[i], ring)) {
            bool labelled = keys[i].label[0] != '\0';
            const char *label = labelled ? keys[i].label : "one without a readable label";
            (void)snprintf(unread->text, sizeof(unread->text), "%s (CK_RV 0x%llx)", label,
                           (unsigned long long)keys[i].rv);
        }
    }
    unread->any = all ? any : unread->any;
}
