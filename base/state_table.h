/*
 * state_table: the files of the state directory (base/state.h), a row each. A further file is a row
 * here, and a bit in the row of the role that it is kept for (base/role_table.h).
 */
#ifndef BASE_STATE_TABLE_H
#define BASE_STATE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/state.h"

struct state_row {
    const char *name;
    bool per_realm; /* the realm follows the name */
    bool in_parts;  /* it has parts, each a file of its own: state_file_name */
    /* how long it may get by state_append; 0: it is no log, and is replaced as a whole instead */
    size_t append_max;
};

/* NULL: there is no such file. */
const struct state_row *state_row(enum state_file file);

#endif
