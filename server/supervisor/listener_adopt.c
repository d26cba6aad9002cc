#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"
#include "base/span.h"
#include "server/supervisor/listener.h"

#define FIRST_FD 3 /* of sd_listen_fds(3) */

/* How many descriptors the service manager passed to this very process. */
static long passed(void)
{
    const char *pid = role_environment("LISTEN_PID");
    const char *count = role_environment("LISTEN_FDS");
    if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid()) {
        return 0;
    }
    return strtol(count, NULL, 10);
}

static int option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

static err_t check_rights(const struct config_listen *config, struct listener *listener,
                          struct problem *problem)
{
    struct stat st;
    if (lstat(config->socket, &st) != 0) {
        return problem_from(problem, EXIT_CONFIG, config->socket,
                            FAIL_ERRNO("cannot examine the passed socket"));
    }
    listener->device = st.st_dev;
    listener->inode = st.st_ino;
    if ((st.st_mode & 07777u) != config->mode) {
        return problem_set(problem, EXIT_CONFIG,
                           "%s: the passed socket has mode %04o, listen.mode says %04o: "
                           "set SocketMode= of the socket unit",
                           config->socket, st.st_mode & 07777u, config->mode);
    }
    if ((config->owner != CONFIG_ID_OWN && st.st_uid != config->owner) ||
        (config->group != CONFIG_ID_OWN && st.st_gid != config->group)) {
        return problem_set(problem, EXIT_CONFIG,
                           "%s: the passed socket belongs to %u:%u, unlike listen.owner "
                           "and listen.group: set SocketUser= and SocketGroup= of the socket unit",
                           config->socket, st.st_uid, st.st_gid);
    }
    return OK;
}

/* It must be where the configuration says, or clients and operators look elsewhere. */
static err_t check_place(const struct config_listen *config, int fd, struct listener *listener,
                         struct problem *problem)
{
    struct sockaddr_un address = {0};
    socklen_t len = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return problem_from(problem, EXIT_CONFIG, config->socket,
                            FAIL_ERRNO("cannot examine the passed socket"));
    }
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t size = len > head ? len - head : 0;
    bool abstract = size > 0 && address.sun_path[0] == '\0';
    struct span path = span_of(address.sun_path, abstract ? size : strnlen(address.sun_path, size));
    if (abstract) {
        address.sun_path[0] = '@';
    }
    if (!span_equal(path, span_of_text(config->socket))) {
        return problem_set(problem, EXIT_CONFIG,
                           "%s: listen.socket is not the passed socket: make ListenStream= "
                           "of the socket unit the same",
                           config->socket);
    }
    return abstract ? OK : check_rights(config, listener, problem);
}

err_t listener_adopt(const struct config_listen *config, struct listener *ret_listener,
                     struct problem *problem)
{
    long n = passed();
    if (n == 0) {
        return FAIL(E_NOT_FOUND, "no socket was passed");
    }
    if (n != 1) {
        return problem_set(problem, EXIT_CONFIG, "LISTEN_FDS: exactly one socket is accepted");
    }
    if (option(FIRST_FD, SO_DOMAIN) != AF_UNIX || option(FIRST_FD, SO_TYPE) != SOCK_STREAM ||
        option(FIRST_FD, SO_ACCEPTCONN) != 1) {
        return problem_set(problem, EXIT_CONFIG,
                           "LISTEN_FDS: the passed descriptor is not a listening unix "
                           "stream socket");
    }
    struct listener adopted = {.folder_fd = -1, .passed = true};
    TRY(check_place(config, FIRST_FD, &adopted, problem));
    int fd = fcntl(FIRST_FD, F_DUPFD_CLOEXEC, ROLE_FD_COUNT);
    if (fd < 0) {
        return problem_from(problem, EXIT_FAILURE, config->socket,
                            FAIL_ERRNO("cannot copy a descriptor"));
    }
    (void)close(FIRST_FD);
    adopted.fd = fd;
    *ret_listener = adopted;
    return OK;
}

bool listener_turn_away_from(int fd)
{
    struct pollfd queue = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < SOMAXCONN && poll(&queue, 1, 0) == 1; i++) {
        OWN_FD client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) {
            return false;
        }
    }
    return true;
}

void listener_turn_away(void)
{
    long n = passed();
    for (int fd = FIRST_FD; fd < FIRST_FD + n && listener_turn_away_from(fd); fd++) {
    }
}
