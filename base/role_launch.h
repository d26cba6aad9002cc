/*
 * role_launch: the one way in which a keeper (the supervisor, p11-kmsctl, a test) starts a role:
 * with all that its row of base/role_table.h says it finds.
 */
#ifndef BASE_ROLE_LAUNCH_H
#define BASE_ROLE_LAUNCH_H

#include <sys/types.h>

#include "base/config.h"
#include "base/err.h"
#include "base/role.h"
#include "base/role_table.h"
#include "base/state.h"

/* Everything is borrowed. */
struct role_launch {
    const struct role_row *row;
    const struct role_program *program;
    const struct config *config;
    uint32_t token;                /* of a row of_token: which of config->tokens it serves */
    const struct state_dir *state; /* where its pin.lock lies; NULL when its row makes none */
    int given[ROLE_FD_COUNT];      /* at their numbers, those of row->given; the others: not read */
};

/* All of it the keeper's own. */
struct role_running {
    pid_t pid;
    int control_fd; /* our end of its control socket */
    int service_fd; /* the client's end of its service socket; -1: its row makes none */
};

/*
 * E_BUG: a descriptor of row->given is missing. E_NOT_FOUND: there is no such user. Nothing is left
 * open or running after a failure.
 */
MUST_USE err_t role_launch(const struct role_launch *launch, struct role_running *ret_running);

/*
 * The config for a process of this row, at its start and at each reload: a sealed memfd. One
 * of_token is told of its own token alone, as the first: not where the PINs of others are.
 */
MUST_USE err_t role_config_for(const struct role_row *row, const struct config *config,
                               uint32_t token, int *ret_fd);

/*
 * A fresh service socket for a role that runs, whose row makes one: after its client's end. *ret_fd
 * is the new client's end.
 */
MUST_USE err_t role_renew_service(int control_fd, int *ret_fd);

#endif
