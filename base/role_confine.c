#define _GNU_SOURCE
#include "base/role_confine.h"

#include <sys/prctl.h>
#include <unistd.h>

#include "base/role.h"

/* A saved id of another user is a way back to it. */
static err_t check_user(void)
{
    uid_t uid[3];
    gid_t gid[3];
    if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0) {
        return FAIL_ERRNO("cannot tell as whom this process runs");
    }
    if (uid[0] != uid[1] || uid[0] != uid[2] || gid[0] != gid[1] || gid[0] != gid[2]) {
        return FAIL(E_DENIED, "this process can become another user");
    }
    return OK;
}

err_t role_confine_basics(void)
{
    TRY(role_forbid_dumps());
    TRY(role_drop_capabilities());
    TRY(check_user());
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
               ? OK
               : FAIL(E_DENIED, "this process can get new rights by running a program");
}

err_t role_confine(enum role_id id)
{
    return role_row(id)->confine();
}
