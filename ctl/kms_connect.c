#define _GNU_SOURCE
#include "ctl/kms_connect.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/own.h"
#include "base/span.h"

/*
 * A server whose queue is full makes connect wait; the limit is the socket's, for what blocks on
 * it.
 */
static err_t limit_connect(int fd, int timeout_ms)
{
    const struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0
               ? OK
               : FAIL_ERRNO("cannot limit the time of a socket");
}

static err_t not_connected(int code)
{
    switch (code) {
    case EAGAIN: return FAIL(E_DEADLINE, "the server's queue is full: it accepts nobody");
    case EACCES: return FAIL_DETAIL(E_UNAVAILABLE, code, "the socket does not let this user in");
    default: return FAIL_DETAIL(E_UNAVAILABLE, code, "nobody answers on the socket");
    }
}

err_t kms_connect(const char *socket_name, int timeout_ms, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct span name = span_of_text(socket_name);
    if (name.len == 0 || name.len >= sizeof(address.sun_path)) {
        return FAIL(E_INVALID, "the socket's path is too long");
    }
    span_move(address.sun_path, name.ptr, name.len);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.len);
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0';
    } else {
        len++;
    }
    OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return FAIL_ERRNO("cannot make a socket");
    }
    TRY(limit_connect(fd, timeout_ms));
    if (connect(fd, (const struct sockaddr *)&address, len) != 0) {
        return not_connected(errno);
    }
    *ret_fd = own_fd_take(&fd);
    return OK;
}
