/*
 * supervisor: keeps the listening socket, the state directory and the roles, and nothing secret. It
 * parses nothing that a peer or a token sends. One thread, one poll loop:
 *
 *   signals ─────────► run       children's ends, reload, drain
 *   control sockets ─► control   state files, readiness, status, "kill the token"
 *   time ────────────► roles     what is to be started again, or ended by force
 *                  └─► pulse     who does not answer any more
 */
#ifndef SERVER_SUPERVISOR_SUPERVISOR_H
#define SERVER_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/config.h"
#include "base/err.h"
#include "base/own.h"
#include "base/role.h"
#include "base/role_table.h"
#include "base/state.h"
#include "server/supervisor/backoff.h"
#include "server/supervisor/listener.h"
#include "server/supervisor/problem.h"
#include "server/supervisor/pulse.h"

#define NEVER_MS             INT64_MAX
#define SUPERVISOR_ROLES_MAX 8

/* One process that is kept: of a row there may be several. */
struct keeping {
    const struct role_row *row;
    uint32_t token; /* of a row of_token: which of the config's it serves */
    struct role_program program;
    /* why it did not get one of them, as last said; 0: it did */
    unsigned long unserved[STATE_FILES];
    pid_t pid;      /* 0: not running */
    int control_fd; /* -1: closed */
    /* the front's end of its service socket, until there is a front to have it; else -1 */
    int service_fd;
    struct backoff backoff;
    int64_t started_ms;
    int64_t start_at_ms; /* not running: when to start it */
    int64_t kill_at_ms;  /* running: when it must have ended by itself */
    struct pulse pulse;
    bool was_up;         /* a process of it came through its start */
    bool excused;        /* its end is the consequence of another's: not counted by the back-off */
};

/* Of the socket file. */
struct watch {
    int64_t at_ms;                              /* when to look again */
    char said[sizeof(((struct problem *)0)->text)]; /* what stands in its way; empty: nothing */
};

enum phase { PHASE_SERVING, PHASE_DRAINING, PHASE_STOPPING, PHASE_ENDED };

struct supervisor {
    struct config config;
    struct state_dir state;
    int lock_fd;
    int pin_lock_fd; /* to look whether the file is still there; each token process has its own */
    unsigned long pin_lock_said; /* why it cannot be opened, as last said; 0: it can */
    int64_t folder_ms; /* when to look at the folder next */
    char trouble[256]; /* why it cannot be used now; empty: it can */
    int signal_fd;
    struct listener listener;
    struct watch watch;
    struct keeping roles[SUPERVISOR_ROLES_MAX];
    size_t roles_n;
    /* when to tell the service manager next that we live; NEVER_MS: it does not ask */
    int64_t alive_ms;
    bool ready;        /* said once to the service manager */
    enum phase phase;
    int exit_code; /* not 0: a role will never run, and we end with this */
};

/* Ready to be opened and closed: every descriptor is -1. */
void supervisor_init(struct supervisor *supervisor, const struct config *config);
/* State directory, instance lock, role programs, signals, listener. */
MUST_USE err_t supervisor_open(struct supervisor *supervisor, struct problem *problem);
/* Serves until it is told to end and all roles have ended. */
void supervisor_run(struct supervisor *supervisor);
void supervisor_close(struct supervisor *supervisor);
DEFINE_CLEANUP(struct supervisor *, supervisor_close)

bool supervisor_is(const struct keeping *role, enum role_id id);
/* Whom clients come to: the one front. */
struct keeping *supervisor_front(struct supervisor *supervisor);

/* One round of the loop; false when all is over. */
bool supervisor_turn(struct supervisor *supervisor);

#endif
