#define _GNU_SOURCE
#include "server/supervisor/listener.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/span.h"

/* The name in the abstract namespace is exactly as long as it is written: no NUL belongs to it. */
static err_t bind_abstract(const struct config_listen *config, struct listener *ret_listener,
                           struct problem *problem)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct span name = span_of_text(config->socket + 1);
    if (name.len == 0 ||
        !span_copy(span_mut_of(address.sun_path + 1, sizeof(address.sun_path) - 1), name)) {
        return problem_set(problem, EXIT_CONFIG,
                           "listen.socket: %s: an abstract name has 1 to 107 bytes",
                           config->socket);
    }
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + name.len);
    OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return problem_from(problem, EXIT_FAILURE, config->socket,
                            FAIL_ERRNO("cannot make a socket"));
    }
    int64_t until_ms = clock_mono_ms() + LISTENER_PATIENCE_MS;
    while (bind(fd, (const struct sockaddr *)&address, len) != 0) {
        if (errno != EADDRINUSE || clock_mono_ms() >= until_ms) {
            return problem_from(problem, EXIT_BUSY, config->socket, FAIL_ERRNO("cannot bind"));
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    }
    if (listen(fd, LISTENER_BACKLOG) != 0) {
        return problem_from(problem, EXIT_FAILURE, config->socket, FAIL_ERRNO("cannot listen"));
    }
    *ret_listener = (struct listener){.fd = -1, .folder_fd = -1};
    ret_listener->fd = own_fd_take(&fd);
    return OK;
}

err_t listener_open(const struct config_listen *config, struct listener *ret_listener,
                    struct problem *problem)
{
    err_t err = listener_adopt(config, ret_listener, problem);
    if (err.code != E_NOT_FOUND) {
        return err;
    }
    return config->socket[0] == '@'
               ? bind_abstract(config, ret_listener, problem)
               : listener_bind_path(config, LISTENER_PATIENCE_MS, ret_listener, problem);
}

/* As the old one was: that is still known of a folder that was removed. */
static err_t make_folder(const struct config_listen *config, const struct listener *listener,
                         struct problem *problem)
{
    char path[sizeof(config->socket)];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s", config->socket);
    *strrchr(path, '/') = '\0';
    if (path[0] == '\0' || lstat(path, &st) == 0 || errno != ENOENT) {
        return OK; /* what is wrong with it is said by who opens it */
    }
    mode_t mode = fstat(listener->folder_fd, &st) == 0 ? st.st_mode & 0755u : 0755u;
    if (mkdir(path, 0700) != 0 || chmod(path, mode) != 0) {
        return problem_set(problem, EXIT_CONFIG,
                           "%s: the folder of the socket is gone and cannot be made: %s: "
                           "systemctl restart p11-kms.socket p11-kms.service makes it, or install "
                           "-d -o %u -m %04o "
                           "%s",
                           path, strerror(errno), geteuid(), mode, path);
    }
    return OK;
}

err_t listener_bind_again(const struct config_listen *config, struct listener *listener,
                          struct problem *problem)
{
    struct listener fresh;
    TRY(make_folder(config, listener, problem));
    TRY(listener_bind_path(config, 0, &fresh, problem));
    listener_close(listener);
    *listener = fresh;
    return OK;
}
