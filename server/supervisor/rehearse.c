#define _GNU_SOURCE
#include "server/supervisor/rehearse.h"

#include <inttypes.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/own.h"
#include "base/role.h"
#include "base/secret.h"

/* The roles give up every capability, CAP_IPC_LOCK too: the limit holds for them whoever we are. */
static err_t check_limit(struct problem *problem)
{
    struct rlimit limit;
    size_t needed = secret_budget_bytes(&secret_budget_front);
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return problem_from(problem, EXIT_CONFIG, "RLIMIT_MEMLOCK", FAIL_ERRNO("cannot be read"));
    }
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed) {
        return OK;
    }
    return problem_set(
        problem, EXIT_CONFIG,
        "memory for secrets cannot be locked: RLIMIT_MEMLOCK is %" PRIu64 " bytes and must be %zu "
        "at least: set LimitMEMLOCK=64M in the unit, or the memlock limit of the container",
        (uint64_t)limit.rlim_cur, needed);
}

static err_t ask_random(void)
{
    uint8_t byte;
    return getrandom(&byte, sizeof(byte), 0) == (ssize_t)sizeof(byte) ? OK
                                                                      : FAIL_ERRNO("getrandom");
}

static err_t lock_memory(void)
{
    err_t err = secret_init(&secret_budget_front);
    secret_done();
    return err;
}

err_t rehearse(const struct config *config, struct problem *problem)
{
    OWN_FD fd = -1;
    TRY(check_limit(problem));
    err_t err = role_config_fd(config, &fd);
    err = failed(err) ? err : ask_random();
    err = failed(err) ? err : lock_memory();
    if (failed(err) && role_may_pass(err)) {
        return problem_from(problem, EXIT_FAILURE,
                            "this system is short of memory or descriptors now", err);
    }
    return failed(err)
               ? problem_from(
                     problem, EXIT_CONFIG,
                     "this system (a seccomp profile?) does not grant what is needed, which is "
                     "mlock, madvise, memfd_create and getrandom",
                     err)
               : OK;
}
