/*
 * ticket: who asked. A call that waits for the token carries one instead of a pointer, so a reply
 * to a peer that has gone finds nobody and is wiped. Plain value; may go stale safely.
 */
#ifndef BASE_TICKET_H
#define BASE_TICKET_H

#include <stdint.h>

struct ticket {
    uint32_t conn;       /* slot of the connection */
    uint32_t generation; /* of that slot; never 0 for a live connection */
    int32_t stream;      /* HTTP/2 stream id */
};

#endif
