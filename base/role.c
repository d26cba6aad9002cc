#define _GNU_SOURCE
#include "base/role.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/version.h"

const char *role_environment(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

bool role_told_version(int argc, char **argv, const char *program)
{
    if (argc != 2 || strcmp(argv[1], "--version") != 0) {
        return false;
    }
    (void)printf("%s %s (build %s%s)\n", program, P11KMS_VERSION, P11KMS_BUILD_ID,
                 P11KMS_TEST_BUILD ? ", test build" : "");
    return true;
}

/* Nothing that the role starts or loads inherits its descriptors. */
static void keep_from_children(void)
{
    for (int fd = ROLE_FD_CONFIG; fd < ROLE_FD_COUNT; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0) {
            (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
        }
    }
}

static err_t check_keeper(void)
{
    int type = 0;
    socklen_t len = sizeof(type);
    if (getsockopt(ROLE_FD_CONTROL, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
        type != SOCK_SEQPACKET) {
        return FAIL(E_STATE, "this program is started by p11-kmsd or p11-kmsctl, not by hand");
    }
    struct pollfd control = {.fd = ROLE_FD_CONTROL, .events = POLLIN};
    if (poll(&control, 1, 0) > 0 && (control.revents & (POLLHUP | POLLERR)) != 0) {
        return FAIL(E_STATE, "whoever started this program is gone");
    }
    return OK;
}

/* mlock says EAGAIN when there is no memory now, ENOMEM when the limit forbids it. */
bool role_may_pass(err_t err)
{
    bool short_of = err.detail == EAGAIN || err.detail == ENFILE;
    return err.code == E_STATE || (err.code == E_SYSTEM && short_of);
}

err_t role_start(const char *program, struct config *ret_config)
{
    TRY(role_harden());
    TRY(role_drop_capabilities());
    /* It was run from a descriptor, whose number the kernel would show as its name. */
    (void)prctl(PR_SET_NAME, program, 0, 0, 0);
    TRY(check_keeper());
    keep_from_children();
    return role_config_read(ROLE_FD_CONFIG, ret_config);
}
