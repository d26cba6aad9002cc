#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"

/* ---- the role's side ---- */

uint32_t role_sequence(void)
{
    static _Atomic uint32_t last;
    uint32_t next = 0;
    while (next == 0) { /* it stands for none */
        next = atomic_fetch_add(&last, 1) + 1;
    }
    return next;
}

/* A part that is too long to be one is cut to something that is none either. */
static struct role_message message_about(enum role_kind kind, enum state_file file,
                                         const char *part, uint32_t sequence)
{
    struct role_message message = {.kind = kind, .file = file, .sequence = sequence};
    (void)snprintf(message.text, sizeof(message.text), "%s", part == NULL ? "" : part);
    return message;
}

static err_t send_bytes(int control_fd, struct role_message message, struct span bytes)
{
    OWN_FD fd = -1;
    TRY(role_memory_file(bytes, &fd));
    message.value = (int64_t)bytes.len;
    return role_send(control_fd, &message, fd);
}

err_t role_put_state(int control_fd, enum state_file file, struct span bytes, uint32_t sequence)
{
    return send_bytes(control_fd, message_about(ROLE_STATE_PUT, file, NULL, sequence), bytes);
}

err_t role_append_state(int control_fd, enum state_file file, struct span bytes, uint32_t sequence)
{
    return send_bytes(control_fd, message_about(ROLE_STATE_APPEND, file, NULL, sequence), bytes);
}

/* Waits for the answer to this message. A keeper that goes is no answer: EPIPE. */
static err_t wait_answer(int control_fd, enum role_kind kind, uint32_t sequence,
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
        if (message.kind == kind && message.sequence == sequence) {
            *ret_message = message;
            *ret_fd = own_fd_take(&fd);
            return OK;
        }
    }
}

static err_t send_bytes_wait(int control_fd, struct role_message message, struct span bytes)
{
    struct role_message answer;
    OWN_FD fd = -1;
    TRY(send_bytes(control_fd, message, bytes));
    TRY(wait_answer(control_fd, ROLE_STATE_STORED, message.sequence, &answer, &fd));
    return answer.value == 0
               ? OK
               : FAIL_DETAIL(E_SYSTEM, answer.value, "the keeper could not store a state file");
}

err_t role_put_state_wait(int control_fd, enum state_file file, const char *part, struct span bytes)
{
    return send_bytes_wait(control_fd, message_about(ROLE_STATE_PUT, file, part, role_sequence()),
                           bytes);
}

err_t role_append_state_wait(int control_fd, enum state_file file, const char *part,
                             struct span bytes)
{
    return send_bytes_wait(control_fd,
                           message_about(ROLE_STATE_APPEND, file, part, role_sequence()), bytes);
}

err_t role_get_state_wait(int control_fd, enum state_file file, const char *part,
                          struct span_mut room, size_t *ret_len)
{
    const struct role_message ask = message_about(ROLE_STATE_GET, file, part, role_sequence());
    TRY(role_send(control_fd, &ask, -1));
    struct role_message answer;
    OWN_FD fd = -1;
    TRY(wait_answer(control_fd, ROLE_STATE_DATA, ask.sequence, &answer, &fd));
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
                                  .sequence = message->sequence,
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
    struct role_message answer = {
        .kind = ROLE_STATE_DATA, .file = message->file, .sequence = message->sequence};
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
static err_t serve_write(int control_fd, const struct state_dir *dir,
                         const struct role_message *message, int fd)
{
    const struct role_message answer = {
        .kind = ROLE_STATE_STORED, .file = message->file, .sequence = message->sequence};
    enum state_file file = (enum state_file)message->file;
    size_t size = (size_t)message->value;
    if (message->value < 0 || message->value > (int64_t)STATE_SIZE_MAX) {
        return FAIL_DETAIL(E_SYSTEM, EFBIG, "a state file is larger than 4 MiB");
    }
    if (fd < 0 || fcntl(fd, F_GET_SEALS) < 0) {
        return FAIL_DETAIL(E_SYSTEM, EBADF, "the new state file is not a file in memory");
    }
    TRY(message->kind == ROLE_STATE_APPEND ? state_append(dir, file, message->text, fd, size)
                                           : state_store(dir, file, message->text, fd, size));
    return role_send(control_fd, &answer, -1);
}

bool role_asks_state(const struct role_message *message)
{
    return message->kind == ROLE_STATE_GET || message->kind == ROLE_STATE_PUT ||
           message->kind == ROLE_STATE_APPEND;
}

err_t role_serve_state(int control_fd, const struct state_dir *dir, unsigned allowed,
                       const struct role_message *message, int fd)
{
    err_t err = FAIL_DETAIL(E_SYSTEM, EACCES, "not a file of this role");
    if (message->file < STATE_FILES && (allowed & 1u << message->file) != 0) {
        err = message->kind == ROLE_STATE_GET ? serve_get(control_fd, dir, message)
                                              : serve_write(control_fd, dir, message, fd);
    }
    return failed(err) ? role_refuse_state(control_fd, dir, message, err) : OK;
}
