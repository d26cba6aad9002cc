#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
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

static err_t memory_file(struct span bytes, int *ret_fd)
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
    return memory_file(span_of(config, sizeof(*config)), ret_fd);
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

/* ---- state files over the control socket ---- */

/* One that is too long to be a part is cut to something that is none either. */
static struct role_message message_about(enum role_kind kind, enum state_file file,
                                         const char *part)
{
    struct role_message message = {.kind = kind, .file = file};
    (void)snprintf(message.text, sizeof(message.text), "%s", part == NULL ? "" : part);
    return message;
}

static err_t put_state(int control_fd, enum state_file file, const char *part, struct span bytes)
{
    OWN_FD fd = -1;
    TRY(memory_file(bytes, &fd));
    struct role_message message = message_about(ROLE_STATE_PUT, file, part);
    message.value = (int64_t)bytes.len;
    return role_send(control_fd, &message, fd);
}

err_t role_put_state(int control_fd, enum state_file file, struct span bytes)
{
    return put_state(control_fd, file, NULL, bytes);
}

/* Waits for the answer of this kind about this file. A keeper that goes is no answer: EPIPE. */
static err_t wait_answer(int control_fd, enum role_kind kind, enum state_file file,
                         struct role_message *ret_message, int *ret_fd)
{
    for (;;) {
        struct role_message message;
        OWN_FD fd = -1;
        err_t err = role_receive(control_fd, true, &message, &fd);
        if (err.code == E_NOT_FOUND) {
            return FAIL_DETAIL(E_SYSTEM, EPIPE, "the keeper of the state files is gone");
        }
        TRY(err);
        if (message.kind == kind && message.file == file) {
            *ret_message = message;
            *ret_fd = own_fd_take(&fd);
            return OK;
        }
    }
}

err_t role_put_state_wait(int control_fd, enum state_file file, const char *part, struct span bytes)
{
    TRY(put_state(control_fd, file, part, bytes));
    struct role_message answer;
    OWN_FD fd = -1;
    TRY(wait_answer(control_fd, ROLE_STATE_STORED, file, &answer, &fd));
    return answer.value == 0
               ? OK
               : FAIL_DETAIL(E_SYSTEM, answer.value, "the keeper could not store a state file");
}

err_t role_get_state_wait(int control_fd, enum state_file file, const char *part,
                          struct span_mut room, size_t *ret_len)
{
    const struct role_message ask = message_about(ROLE_STATE_GET, file, part);
    TRY(role_send(control_fd, &ask, -1));
    struct role_message answer;
    OWN_FD fd = -1;
    TRY(wait_answer(control_fd, ROLE_STATE_DATA, file, &answer, &fd));
    if (answer.value < 0) {
        return FAIL_DETAIL(E_SYSTEM, -answer.value, "the keeper could not read a state file");
    }
    if ((uint64_t)answer.value > room.len) {
        return FAIL(E_LIMIT, "a state file is too long");
    }
    if (fd < 0) {
        return FAIL(E_NOT_FOUND, "the state file does not exist");
    }
    size_t len = (size_t)answer.value;
    TRY(role_read_state(fd, span_mut_of(room.ptr, len)));
    *ret_len = len;
    return OK;
}

err_t role_read_state(int fd, struct span_mut room)
{
    for (size_t done = 0; done < room.len;) {
        ssize_t n = pread(fd, room.ptr + done, room.len - done, (off_t)done);
        if (n <= 0) {
            return FAIL(E_INVALID, "a state file is shorter than was said");
        }
        done += (size_t)n;
    }
    return OK;
}

/* ---- the keeper's side ---- */

err_t role_refuse_state(int control_fd, const struct state_dir *dir,
                        const struct role_message *message, err_t why)
{
    bool get = message->kind == ROLE_STATE_GET;
    struct role_message answer = {.kind = get ? ROLE_STATE_DATA : ROLE_STATE_STORED,
                                  .file = message->file,
                                  .value = get ? -state_errno(why) : state_errno(why)};
    char name[STATE_NAME_MAX] = "";
    (void)!failed(state_file_name(dir, (enum state_file)message->file, message->text, name));
    state_explain(dir->path, name, why, answer.text, sizeof(answer.text));
    TRY(role_send(control_fd, &answer, -1));
    return why;
}

static err_t serve_get(int control_fd, const struct state_dir *dir,
                       const struct role_message *message)
{
    struct role_message answer = {.kind = ROLE_STATE_DATA, .file = message->file};
    OWN_FD fd = -1;
    struct stat st = {0};
    TRY(state_read_fd(dir, (enum state_file)message->file, message->text, &fd));
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        return FAIL(E_INVALID, "a state file is not a regular file");
    }
    answer.value = (int64_t)st.st_size;
    return role_send(control_fd, &answer, fd);
}

/* Only a file in memory is read: any other kind could make the keeper wait. */
static err_t serve_put(int control_fd, const struct state_dir *dir,
                       const struct role_message *message, int fd)
{
    const struct role_message answer = {.kind = ROLE_STATE_STORED, .file = message->file};
    if (message->value < 0 || message->value > (int64_t)STATE_SIZE_MAX) {
        return FAIL_DETAIL(E_SYSTEM, EFBIG, "a state file is larger than 1 MiB");
    }
    if (fd < 0 || fcntl(fd, F_GET_SEALS) < 0) {
        return FAIL_DETAIL(E_SYSTEM, EBADF, "the new state file is not a file in memory");
    }
    TRY(state_store(dir, (enum state_file)message->file, message->text, fd,
                    (size_t)message->value));
    return role_send(control_fd, &answer, -1);
}

err_t role_serve_state(int control_fd, const struct state_dir *dir, unsigned allowed,
                       const struct role_message *message, int fd)
{
    err_t err = FAIL_DETAIL(E_SYSTEM, EACCES, "not a file of this role");
    if (message->file < STATE_FILES && (allowed & 1u << message->file) != 0) {
        err = message->kind == ROLE_STATE_GET ? serve_get(control_fd, dir, message)
                                              : serve_put(control_fd, dir, message, fd);
    }
    return failed(err) ? role_refuse_state(control_fd, dir, message, err) : OK;
}
