#define _GNU_SOURCE
#include "pkcs11/control.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/role.h"
#include "pkcs11/peer.h"
#include "pkcs11/thread.h"

static int inner_fd = -1; /* our end of the asker's socket */

static void take_config(int fd)
{
    struct config config;
    err_t err = role_config_read(fd, &config);
    if (failed(err)) {
        log_event(EVENT_RELOAD_REFUSED, LOG_ERR(err));
        return;
    }
    log_set(config.log_format, config.log_level);
    log_event(EVENT_RELOADED);
}

/*
 * A login that is under way loses its lock, which lies in a folder that nobody looks into any more;
 * unlocking the new one after it harms nobody.
 */
static void take_pin_lock(int fd)
{
    if (dup3(fd, ROLE_FD_PIN_LOCK, O_CLOEXEC) < 0) {
        log_event(EVENT_TOKEN_PIN_LOCK_NOT_TAKEN,
                  LOG_ERR(FAIL_ERRNO("cannot take the new lock of the PIN record")));
    }
}

/* One packet on; what is meant for the process as a whole ends here. */
static err_t move(int from_fd, int to_fd)
{
    struct role_message message;
    OWN_FD fd = -1;
    TRY(role_receive(from_fd, false, &message, &fd));
    switch ((int)message.kind) {
    case ROLE_RELOAD:
        take_config(fd);
        return OK;
    case ROLE_TOKEN_SOCKET:
        peer_replace(own_fd_take(&fd));
        return OK;
    case ROLE_PIN_LOCK:
        take_pin_lock(fd);
        return OK;
    case ROLE_PING:
        return role_send(from_fd, &(struct role_message){.kind = ROLE_PONG}, -1);
    default:
        return role_send(to_fd, &message, fd);
    }
}

/* False: this side is gone or broken. */
static bool serve(const struct pollfd *side, int other_fd)
{
    if (side->revents == 0) {
        return true;
    }
    err_t err = move(side->fd, other_fd);
    return !failed(err) || err.code == E_UNAVAILABLE;
}

static void *run(void *unused)
{
    (void)unused;
    struct pollfd fds[] = {{.fd = ROLE_FD_CONTROL, .events = POLLIN},
                           {.fd = inner_fd, .events = POLLIN}};
    do {
        (void)poll(fds, 2, -1);
    } while (serve(&fds[0], inner_fd) && serve(&fds[1], ROLE_FD_CONTROL));
    /*
     * Who waits for an answer learns that none comes; the main thread sees the keeper's end by
     * itself.
     */
    (void)shutdown(inner_fd, SHUT_RDWR);
    return NULL;
}

err_t control_start(int *ret_fd)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return FAIL_ERRNO("cannot make a socket for the PIN record");
    }
    inner_fd = ends[0];
    TRY(thread_start(run, NULL));
    *ret_fd = ends[1];
    return OK;
}
