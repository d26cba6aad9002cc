/*
 * role: the contract between a keeper and the programs that it runs. The keeper of a role is the
 * process that started it and keeps its state files: the supervisor, or p11-kmsctl for one token
 * process. Which roles there are: base/role_table.h. Fixed descriptors, a config in a sealed memfd,
 * and a control socket (SOCK_SEQPACKET) that carries one struct role_message a packet, some with a
 * descriptor. A token process goes on when its service socket closes: its keeper sends it another.
 * A role ends when its control socket closes, and is killed when its keeper dies (PDEATHSIG).
 */
#ifndef BASE_ROLE_H
#define BASE_ROLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/config.h"
#include "base/err.h"
#include "base/state.h"

/* Descriptors that a role finds open. */
enum {
    ROLE_FD_CONFIG = 3,   /* sealed memfd with struct config */
    ROLE_FD_CONTROL = 4,  /* socketpair with the keeper */
    ROLE_FD_SERVICE = 5,  /* front: the listening socket; token: its end of the token socketpair */
    ROLE_FD_PIN_LOCK = 6, /* token only: a descriptor of pin.lock of its own */
    ROLE_FD_COUNT = 7
};

enum role_kind {
    /* role → keeper */
    /* text of these three: the part of the file, empty for the file itself */
    ROLE_STATE_GET = 1, /* file, sequence → answered by ROLE_STATE_DATA */
    /* file, sequence, value = length, + memfd → answered by ROLE_STATE_STORED */
    ROLE_STATE_PUT,    /* the new content */
    ROLE_STATE_APPEND, /* added to a log */
    ROLE_READY,        /* the socket is served (front) */
    ROLE_STATUS,       /* text: one line for the service manager and for people */
    ROLE_PONG,         /* the answer to ROLE_PING */
    /* front: the token process hangs, kill it; value as it came with its socket, text says why */
    ROLE_KILL_TOKEN,
    /* keeper → role */
    /*
     * file, sequence of the question, value = length, + read-only descriptor unless the file is
     * absent; or value = -errno, text says why
     */
    ROLE_STATE_DATA,
    ROLE_STATE_STORED, /* file, sequence, value = 0; or errno, text says why */
    /*
     * front: + its end of a token process's socket, value = which process; token: + that of a new
     *        front
     */
    ROLE_TOKEN_SOCKET,
    ROLE_PIN_LOCK, /* token: + a descriptor of a new pin.lock, of its own */
    /* front: text says why nothing can be stored now; empty: a new, empty folder is there */
    ROLE_STATE_TROUBLE,
    ROLE_PING,          /* is it alive? */
    ROLE_RELOAD,        /* + sealed memfd with the new struct config */
    ROLE_DRAIN,         /* finish what runs, then exit 0 */
    ROLE_SERVICE_SOCKET /* front: + a listening socket that takes the place of ROLE_FD_SERVICE */
};

#define ROLE_MAGIC 0x7031726cu

struct role_message {
    uint32_t magic;
    uint32_t kind;  /* enum role_kind */
    uint32_t file;  /* enum state_file */
    /* of a message about a state file: its sender's number for it, which the answer repeats */
    uint32_t sequence;
    int64_t value;
    char text[256]; /* NUL-terminated; never a secret */
};

/* fd -1: none; the fd stays the caller's. E_SYSTEM(EPIPE) when the peer is gone. */
MUST_USE err_t role_send(int control_fd, const struct role_message *message, int fd);
/*
 * One packet, not blocking with `wait` false (then E_UNAVAILABLE when there is none). *ret_fd is -1
 * or a CLOEXEC descriptor that is now the caller's. E_NOT_FOUND: the peer closed. E_PROTOCOL: not
 * ours.
 */
MUST_USE err_t role_receive(int control_fd, bool wait, struct role_message *ret_message,
                            int *ret_fd);

/* A sequence for a message about a state file: not 0, and none of the last four billion. */
uint32_t role_sequence(void);
/*
 * Copies bytes into a new memfd and sends ROLE_STATE_PUT or ROLE_STATE_APPEND; does not wait for
 * the answer. After a failure (a socket that is full) nothing was sent, and none will come.
 */
MUST_USE err_t role_put_state(int control_fd, enum state_file file, struct span bytes,
                              uint32_t sequence);
MUST_USE err_t role_append_state(int control_fd, enum state_file file, struct span bytes,
                                 uint32_t sequence);
/*
 * Blocking forms for the token process: ask and wait for the answer to this very message (others
 * are dropped). E_SYSTEM(EPIPE) when the keeper is gone.
 */
MUST_USE err_t role_put_state_wait(int control_fd, enum state_file file, const char *part,
                                   struct span bytes);
MUST_USE err_t role_append_state_wait(int control_fd, enum state_file file, const char *part,
                                      struct span bytes);
/* E_NOT_FOUND: no such file yet; an empty one is OK with length 0. */
MUST_USE err_t role_get_state_wait(int control_fd, enum state_file file, const char *part,
                                   struct span_mut room, size_t *ret_len);
/* Fills room from the descriptor of a ROLE_STATE_DATA. E_INVALID: the file is shorter. */
MUST_USE err_t role_read_state(int fd, struct span_mut room);

/* ROLE_STATE_GET, _PUT or _APPEND. */
bool role_asks_state(const struct role_message *message);
/*
 * Keeper's side of a message that role_asks_state: does it and answers. `fd` came with the message.
 * Files outside `allowed` (a bit per enum state_file) are answered with EACCES.
 */
MUST_USE err_t role_serve_state(int control_fd, const struct state_dir *dir, unsigned allowed,
                                const struct role_message *message, int fd);

/* The answer that it was not done, and `why`, which is returned. */
MUST_USE err_t role_refuse_state(int control_fd, const struct state_dir *dir,
                                 const struct role_message *message, err_t why);

/* A sealed memfd holding the bytes. */
MUST_USE err_t role_memory_file(struct span bytes, int *ret_fd);
/* One holding the config. */
MUST_USE err_t role_config_fd(const struct config *config, int *ret_fd);
/* Checks seals, size, magic, version and build id, then copies it out. */
MUST_USE err_t role_config_read(int fd, struct config *ret_config);

/*
 * The exit status of a role that cannot start for a reason that stays until an operator acts:
 * memory that cannot be locked, a call that a profile forbids, a configuration of another build.
 */
#define ROLE_EXIT_LASTING 78
/*
 * Not for it: the keeper is gone, or the machine is short of memory or descriptors, which may be
 * over in a moment.
 */
bool role_may_pass(err_t err);

/*
 * First thing in a role's main: undumpable, no core, no_new_privs, no capabilities, memory of the
 * arena is the caller's business. Then checks that its keeper lives and reads the config.
 */
MUST_USE err_t role_start(const char *program, struct config *ret_config);
/*
 * True when a role was asked for --version by hand: it has been printed, and there is nothing more
 * to do.
 */
bool role_told_version(int argc, char **argv, const char *program);
/*
 * The hardening alone (the supervisor and p11-kmsctl call it too), capabilities left out; also a
 * umask of 0077, and /dev/null for each of the three standard descriptors that is closed.
 */
MUST_USE err_t role_harden(void);
/* Of that, what keeps the memory of this process from others: undumpable, and no core. */
MUST_USE err_t role_forbid_dumps(void);
/* Gives up every capability for good. The supervisor does so once its socket has its owner. */
MUST_USE err_t role_drop_capabilities(void);
/*
 * Gives up all but those, of the ones we have, that a keeper of a role of another user needs: to
 * become that user, and to end it (the kernel asks for CAP_KILL for PDEATHSIG, too).
 */
MUST_USE err_t role_keep_user_capabilities(void);

/* A variable of our own environment (NOTIFY_SOCKET and the like), or NULL when unset or empty. */
const char *role_environment(const char *name);

struct role_program {
    int fd;           /* the binary, opened at start, O_CLOEXEC */
    char name[32];    /* argv[0] */
};

/* Finds `name` beside our own binary (a build tree) or in libexecdir, and opens it. */
MUST_USE err_t role_program_open(const char *name, struct role_program *ret_program);
void role_program_close(struct role_program *program);

struct role_user {
    uid_t uid;
    gid_t gid;
};

/*
 * Starts it with the given descriptors at their fixed numbers (-1: not open), an environment of
 * LD_BIND_NOW=1 and `env` only (test builds also pass LD_PRELOAD, FAKETIME*, *SAN_OPTIONS,
 * LLVM_PROFILE_FILE, GCOV_*), PDEATHSIG=KILL, default signals. The descriptors stay the caller's.
 * Numbers 0 to 2 at -1: /dev/null, and our own output and error. It runs as `user`, with no way
 * back and that group alone, which takes CAP_SETUID and CAP_SETGID; NULL: as we do. Keepers call
 * role_launch (base/role_launch.h).
 */
MUST_USE err_t role_spawn(const struct role_program *program, const int fds[ROLE_FD_COUNT],
                          const char *const *env, const struct role_user *user, pid_t *ret_pid);

#endif
