/* A token process for the tests of the supervisor: ends when one of its sockets closes. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "base/role.h"

static bool closed(int revents)
{
    return (revents & (POLLHUP | POLLERR)) != 0;
}

int main(void)
{
    static struct config config;
    if (failed(role_start("p11-kms-token", &config)) || fcntl(ROLE_FD_PIN_LOCK, F_GETFD) < 0) {
        return EXIT_FAILURE;
    }
    for (;;) {
        struct pollfd fds[] = {{.fd = ROLE_FD_SERVICE}, {.fd = ROLE_FD_CONTROL}};
        (void)poll(fds, 2, -1);
        if (closed(fds[0].revents) || closed(fds[1].revents)) {
            return EXIT_SUCCESS;
        }
    }
}
