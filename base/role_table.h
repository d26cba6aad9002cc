/*
 * role_table: the programs that are run as roles (base/role.h), a row each: what one finds open,
 * whose rights it has, what is kept for it and how soon it is started again. Its keeper, its start
 * and its tests are made from the row; a further program is a further row.
 */
#ifndef BASE_ROLE_TABLE_H
#define BASE_ROLE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum role_id { ROLE_TOKEN, ROLE_FRONT, ROLES };

struct role_row {
    const char *program; /* its file, its argv[0] and its name in the log */
    const char *user;    /* as whom it runs, with that user's group alone; NULL: as its keeper */
    /* What it finds open, a bit 1u << ROLE_FD_* each. */
    unsigned given;      /* its keeper's, the same at every start */
    unsigned made;       /* made anew for each start (base/role_launch.h) */
    unsigned files;      /* state files that are kept for it, a bit 1u << STATE_* each */
    /* it serves one token of the config, which is all that it is told of, and has its `env` */
    bool of_token;
    err_t (*confine)(void);   /* role_confine's (base/role_confine.h) */
    int64_t backoff_first_ms; /* when it ends at once: started again after so long, */
    int64_t backoff_max_ms;   /* doubled up to this */
};

const struct role_row *role_row(enum role_id id);

#endif
