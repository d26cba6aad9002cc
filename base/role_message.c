#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"
#include "base/version.h"

#define CONFIG_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/*
 * Aligned for the kernel's header; the padding has room for a second descriptor, which is refused.
 */
union ancillary {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static void attach(struct msghdr *header, union ancillary *room, int fd)
{
    header->msg_control = room->bytes;
    header->msg_controllen = CMSG_SPACE(sizeof(int));
    struct cmsghdr *part = CMSG_FIRSTHDR(header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    span_move(CMSG_DATA(part), &fd, sizeof(fd));
}

/* Never blocks: a peer that does not read must not stop whoever keeps it. */
err_t role_send(int control_fd, const struct role_message *message, int fd)
{
    struct role_message copy = *message;
    copy.magic = ROLE_MAGIC;
    struct iovec part = {&copy, sizeof(copy)};
    union ancillary room = {0};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        attach(&header, &room, fd);
    }
    ssize_t n = 0;
    do {
        n = sendmsg(control_fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == ECONNRESET) {
        errno = EPIPE;
    }
    return n == (ssize_t)sizeof(copy) ? OK : FAIL_ERRNO("cannot send on the control socket");
}

/* Takes over the descriptors of a packet: the first is the caller's, more than one is a fault. */
static bool detach(struct msghdr *header, int *ret_fd)
{
    bool fine = (header->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd = -1;
            span_move(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (*ret_fd < 0) {
                *ret_fd = fd;
            } else {
                (void)close(fd);
                fine = false;
            }
        }
    }
    return fine;
}

err_t role_receive(int control_fd, bool wait, struct role_message *ret_message, int *ret_fd)
{
    struct role_message message;
    struct iovec part = {&message, sizeof(message)};
    union ancillary room = {0};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = room.bytes,
                            .msg_controllen = sizeof(room.bytes)};
    ssize_t n = 0;
    do {
        n = recvmsg(control_fd, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != ECONNRESET) {
        return errno == EAGAIN ? FAIL(E_UNAVAILABLE, "there is no message")
                               : FAIL_ERRNO("cannot receive on the control socket");
    }
    OWN_FD fd = -1;
    bool fine = n >= 0 && detach(&header, &fd); /* an empty packet, too, may carry descriptors */
    if (n <= 0) {
        return FAIL(E_NOT_FOUND, "the other end of the control socket is closed");
    }
    if (!fine || n != (ssize_t)sizeof(message) || message.magic != ROLE_MAGIC ||
        memchr(message.text, '\0', sizeof(message.text)) == NULL) {
        return FAIL(E_PROTOCOL, "a packet on the control socket is not ours");
    }
    *ret_message = message;
    *ret_fd = own_fd_take(&fd);
    return OK;
}

err_t role_memory_file(struct span bytes, int *ret_fd)
{
    OWN_FD fd = memfd_create("p11-kms", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return FAIL_ERRNO("cannot make a file in memory");
    }
    for (size_t done = 0; done < bytes.len;) {
        ssize_t n = pwrite(fd, bytes.ptr + done, bytes.len - done, (off_t)done);
        if (n <= 0) {
            return FAIL_ERRNO("cannot fill a file in memory");
        }
        done += (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, CONFIG_SEALS) != 0) {
        return FAIL_ERRNO("cannot seal a file in memory");
    }
    *ret_fd = own_fd_take(&fd);
    return OK;
}

err_t role_config_fd(const struct config *config, int *ret_fd)
{
    return role_memory_file(span_of(config, sizeof(*config)), ret_fd);
}

err_t role_config_read(int fd, struct config *ret_config)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & CONFIG_SEALS) != CONFIG_SEALS || fstat(fd, &st) != 0) {
        return FAIL(E_INVALID, "the configuration is not a sealed file in memory");
    }
    struct config config;
    if (st.st_size != (off_t)sizeof(config) ||
        pread(fd, &config, sizeof(config), 0) != (ssize_t)sizeof(config)) {
        return FAIL(E_INVALID, "the configuration has another size");
    }
    if (config.magic != CONFIG_MAGIC || config.version != CONFIG_VERSION) {
        return FAIL(E_INVALID, "the configuration has another version");
    }
    if (strncmp(config.build_id, P11KMS_BUILD_ID, sizeof(config.build_id)) != 0) {
        return FAIL(E_INVALID, "the configuration comes from another build of this program");
    }
    *ret_config = config;
    return OK;
}
