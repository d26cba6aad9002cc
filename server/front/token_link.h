/* token_link: the front's end of the token process's socket, and the loop that watches it. */
#ifndef SERVER_FRONT_TOKEN_LINK_H
#define SERVER_FRONT_TOKEN_LINK_H

#include "server/front/front.h"

/* The socket of a new token process, as the keeper names it; the descriptor is taken. */
void token_link_attach(struct front *front, int64_t token, int fd);
/* After the service did something: it may have closed its end. */
void token_link_check(struct front *front);
void token_link_done(struct front *front);

#endif
