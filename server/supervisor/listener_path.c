#define _GNU_SOURCE
#include <fcntl.h>
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
#include "server/supervisor/listener.h"

struct place {
    const struct config_listen *config;
    struct sockaddr_un address;
    char folder[108];
    const char *name; /* the last part, in address */
    int folder_fd;
    int64_t patience_ms;
};

static err_t split(struct place *place, struct problem *problem)
{
    const char *path = place->config->socket;
    struct span_mut room =
        span_mut_of(place->address.sun_path, sizeof(place->address.sun_path) - 1);
    if (path[0] != '/' || !span_copy(room, span_of_text(path))) {
        return problem_set(
            problem, EXIT_CONFIG,
            "listen.socket: %s: a socket path is absolute and at most 107 bytes long", path);
    }
    place->address.sun_family = AF_UNIX;
    const char *slash = strrchr(place->address.sun_path, '/');
    size_t len = (size_t)(slash - place->address.sun_path);
    (void)snprintf(place->folder, sizeof(place->folder), "%.*s", len == 0 ? 1 : (int)len, path);
    place->name = slash + 1;
    return place->name[0] != '\0'
               ? OK
               : problem_set(problem, EXIT_CONFIG, "listen.socket: %s: names a folder", path);
}

/* Whoever can write the folder can put another socket in our place. */
static err_t open_folder(struct place *place, struct problem *problem)
{
    struct stat st;
    place->folder_fd = open(place->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (place->folder_fd < 0 || fstat(place->folder_fd, &st) != 0) {
        return problem_from(
            problem, EXIT_CONFIG, place->folder,
            FAIL_ERRNO("cannot open the folder of the socket (it may not be a link)"));
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return problem_set(problem, EXIT_CONFIG,
                           "%s: the folder of the socket belongs to uid %u: it must be "
                           "ours (uid %u) or root's",
                           place->folder, st.st_uid, geteuid());
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return problem_set(problem, EXIT_CONFIG,
                           "%s: the folder of the socket has mode %04o: it may not be "
                           "writable by group or others",
                           place->folder, st.st_mode & 07777u);
    }
    return OK;
}

enum occupant { OCCUPANT_NONE, OCCUPANT_STALE, OCCUPANT_LIVE, OCCUPANT_FOREIGN };

static enum occupant who_is_there(const struct place *place)
{
    struct stat st;
    if (fstatat(place->folder_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return OCCUPANT_NONE; /* bind says if it is anything but absent */
    }
    if (!S_ISSOCK(st.st_mode)) {
        return OCCUPANT_FOREIGN;
    }
    OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connect(fd, (const struct sockaddr *)&place->address, sizeof(place->address)) == 0) {
        return OCCUPANT_LIVE;
    }
    switch (errno) {
    case ECONNREFUSED:
        return OCCUPANT_STALE;
    case ENOENT:
        return OCCUPANT_NONE;
    case EAGAIN: /* its queue is full */
    case EACCES:
        return OCCUPANT_LIVE;
    default:
        return OCCUPANT_FOREIGN;
    }
}

/* An orphan of a killed predecessor may be on its way out: only who stays counts as live. */
static enum occupant wait_for_orphan(const struct place *place)
{
    int64_t until_ms = clock_mono_ms() + place->patience_ms;
    enum occupant occupant = who_is_there(place);
    while (occupant == OCCUPANT_LIVE && clock_mono_ms() < until_ms) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
        occupant = who_is_there(place);
    }
    return occupant;
}

static err_t make_way(const struct place *place, struct problem *problem)
{
    const char *path = place->config->socket;
    switch (wait_for_orphan(place)) {
    case OCCUPANT_NONE:
        break;
    case OCCUPANT_STALE:
        if (unlinkat(place->folder_fd, place->name, 0) != 0 && errno != ENOENT) {
            return problem_from(problem, EXIT_CONFIG, path,
                                FAIL_ERRNO("cannot remove the stale socket"));
        }
        break;
    case OCCUPANT_LIVE:
        return problem_set(problem, EXIT_BUSY,
                           "%s: another process listens there; it is not taken over", path);
    case OCCUPANT_FOREIGN:
    default:
        return problem_set(problem, EXIT_CONFIG,
                           "%s: is not a stream socket; it is left alone: move it away", path);
    }
    return OK;
}

/* Born with mode 0600, so at no time can more connect than may. */
static err_t bind_private(const struct place *place, int fd, struct problem *problem)
{
    mode_t before = umask(0177);
    int result = bind(fd, (const struct sockaddr *)&place->address, sizeof(place->address));
    int bind_errno = errno;
    (void)umask(before);
    errno = bind_errno;
    if (result != 0) {
        return problem_from(problem, EXIT_CONFIG, place->config->socket, FAIL_ERRNO("cannot bind"));
    }
    return listen(fd, LISTENER_BACKLOG) == 0
               ? OK
               : problem_from(problem, EXIT_FAILURE, place->config->socket,
                              FAIL_ERRNO("cannot listen"));
}

static err_t set_rights(const struct place *place, struct problem *problem)
{
    const struct config_listen *config = place->config;
    uid_t owner = config->owner == CONFIG_ID_OWN ? (uid_t)-1 : config->owner;
    gid_t group = config->group == CONFIG_ID_OWN ? (gid_t)-1 : config->group;
    bool other = owner != (uid_t)-1 || group != (gid_t)-1;
    if (other && fchownat(place->folder_fd, place->name, owner, group, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == EPERM) {
            return problem_set(problem, EXIT_CONFIG,
                               "listen.owner, listen.group: %s: another owner or group "
                               "needs root or socket activation (p11-kms.socket)",
                               config->socket);
        }
        return problem_from(problem, EXIT_CONFIG, config->socket,
                            FAIL_ERRNO("cannot set the owner"));
    }
    if (fchmodat(place->folder_fd, place->name, config->mode, 0) != 0) {
        return problem_from(problem, EXIT_CONFIG, config->socket,
                            FAIL_ERRNO("cannot set the mode"));
    }
    return OK;
}

static err_t make(struct place *place, struct listener *made, struct problem *problem)
{
    TRY(make_way(place, problem));
    made->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made->fd < 0) {
        return problem_from(problem, EXIT_FAILURE, place->config->socket,
                            FAIL_ERRNO("cannot make a socket"));
    }
    TRY(bind_private(place, made->fd, problem));
    struct stat st;
    if (fstatat(place->folder_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return problem_from(problem, EXIT_CONFIG, place->config->socket,
                            FAIL_ERRNO("the socket has gone"));
    }
    made->device = st.st_dev;
    made->inode = st.st_ino;
    (void)snprintf(made->name, sizeof(made->name), "%s", place->name);
    made->folder_fd = own_fd_take(&place->folder_fd);
    place->folder_fd = made->folder_fd; /* borrowed from here on */
    return set_rights(place, problem);
}

err_t listener_bind_path(const struct config_listen *config, int64_t patience_ms,
                         struct listener *ret_listener, struct problem *problem)
{
    struct place place = {.config = config, .folder_fd = -1, .patience_ms = patience_ms};
    struct listener made = {.fd = -1, .folder_fd = -1};
    TRY(split(&place, problem));
    err_t err = open_folder(&place, problem);
    if (!failed(err)) {
        err = make(&place, &made, problem);
    }
    if (failed(err)) {
        if (made.folder_fd < 0) {
            own_fd_close_p(&place.folder_fd);
        }
        listener_close(&made);
        return err;
    }
    *ret_listener = made;
    return OK;
}
