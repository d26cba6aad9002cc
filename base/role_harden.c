#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/role.h"

#if defined(__SANITIZE_ADDRESS__)
/*
 * The leak check attaches to its own process, which an undumpable one refuses: only there it is
 * off.
 */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1;
}
#endif

/* Whoever started us may have closed them, and what we open would become our log. */
static err_t fill_standard(void)
{
    for (;;) {
        int fd = open("/dev/null", O_RDWR);
        if (fd < 0) {
            return FAIL_ERRNO("cannot open /dev/null");
        }
        if (fd > STDERR_FILENO) {
            (void)close(fd);
            return OK;
        }
    }
}

err_t role_forbid_dumps(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return FAIL_ERRNO("cannot make this process undumpable");
    }
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        return FAIL_ERRNO("cannot turn core files off");
    }
    return OK;
}

err_t role_harden(void)
{
    TRY(fill_standard());
    /* A limit of file sizes is an error to report, not a reason to die of. */
    (void)signal(SIGXFSZ, SIG_IGN);
    /* What we make is ours alone, whoever started us. */
    (void)umask(S_IRWXG | S_IRWXO);
    TRY(role_forbid_dumps());
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return FAIL_ERRNO("cannot give up new privileges");
    }
    return OK;
}

/* no_new_privs keeps a later exec from regaining any, so the bounding set need not be cleared. */
static err_t keep_capabilities(uint32_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {{0}};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
        return FAIL_ERRNO("cannot clear the ambient capabilities");
    }
    if (syscall(SYS_capget, &header, held) != 0) {
        return FAIL_ERRNO("cannot read the capabilities");
    }
    data[0].permitted = held[0].permitted & kept;
    data[0].effective = data[0].permitted;
    return syscall(SYS_capset, &header, data) == 0 ? OK : FAIL_ERRNO("cannot give up capabilities");
}

err_t role_drop_capabilities(void)
{
    return keep_capabilities(0);
}

err_t role_keep_user_capabilities(void)
{
    return keep_capabilities(1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL);
}
