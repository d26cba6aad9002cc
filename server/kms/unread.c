#include "server/kms/unread.h"

#include <stdio.h>

#include "token/listing.h"

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
        if (unread->text[0] == '\0' && listing_place(&keys[i], ring) != LISTING_ELSEWHERE) {
            bool labelled = keys[i].label[0] != '\0';
            const char *label = labelled ? keys[i].label : "one without a readable label";
            (void)snprintf(unread->text, sizeof(unread->text), "%s (CK_RV 0x%llx)", label,
                           (unsigned long long)keys[i].rv);
        }
    }
    unread->any = all ? any : unread->any;
}
