#include "base/role_table.h"

#include <stddef.h>

#include "base/role.h"
#include "base/role_confine.h"

#define TALK (1u << ROLE_FD_CONFIG | 1u << ROLE_FD_CONTROL)

static const struct role_row rows[ROLES] = {
    [ROLE_TOKEN] = {.program = "p11-kms-token",
                    .made = TALK | 1u << ROLE_FD_SERVICE | 1u << ROLE_FD_PIN_LOCK,
                    .files = 1u << STATE_PIN,
                    .of_token = true,
                    .confine = role_confine_basics,
                    .backoff_first_ms = 100,
                    .backoff_max_ms = 5000},
    [ROLE_FRONT] = {.program = "p11-kms-front",
                    .given = 1u << ROLE_FD_SERVICE,
                    .made = TALK,
                    .files = 1u << STATE_CURRENT | 1u << STATE_SEEDS | 1u << STATE_HEALTH,
                    .confine = role_confine_basics,
                    .backoff_first_ms = 50,
                    .backoff_max_ms = 1000},
};

const struct role_row *role_row(enum role_id id)
{
    return (unsigned)id < ROLES ? &rows[id] : NULL;
}
