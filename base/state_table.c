#include "base/state_table.h"

static const struct state_row rows[STATE_FILES] = {
    [STATE_CURRENT] = {.name = "current.", .per_realm = true},
    [STATE_SEEDS] = {.name = "seeds.", .per_realm = true},
    [STATE_HEALTH] = {.name = "health"},
    [STATE_PIN] = {.name = "pin", .in_parts = true},
};

const struct state_row *state_row(enum state_file file)
{
    return (unsigned)file < STATE_FILES ? &rows[file] : NULL;
}
