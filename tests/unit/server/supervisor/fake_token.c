/*
 * A token process for the tests of the supervisor: takes each new socket to a front and greets it
 * with its pid, answers pings, and ends with its control socket.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"

static void greet(void)
{
    pid_t pid = getpid();
    (void)!send(ROLE_FD_SERVICE, &pid, sizeof(pid), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* False: the keeper is gone. */
static bool take_message(void)
{
    struct role_message message;
    OWN_FD fd = -1;
    if (failed(role_receive(ROLE_FD_CONTROL, true, &message, &fd))) {
        return false;
    }
    if (message.kind == ROLE_TOKEN_SOCKET) {
        (void)!dup3(fd, ROLE_FD_SERVICE, O_CLOEXEC);
        greet();
    } else if (message.kind == ROLE_PING) {
        (void)!failed(role_send(ROLE_FD_CONTROL, &(struct role_message){.kind = ROLE_PONG}, -1));
    }
    return true;
}

int main(void)
{
    static struct config config;
    if (failed(role_start("p11-kms-token", &config)) || fcntl(ROLE_FD_PIN_LOCK, F_GETFD) < 0) {
        return EXIT_FAILURE;
    }
    greet();
    while (take_message()) {
    }
    return EXIT_SUCCESS;
}
