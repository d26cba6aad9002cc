/*
 * deny: runs a program for which the kernel lacks some system calls, or a profile forbids them.
 *
 *     deny ENOSYS|EPERM|ENOMEM|EAGAIN|ENFILE CALL[,CALL…] PROGRAM ARGUMENT…
 *
 * Exits 2 for wrong usage (an unknown call too), 126 when the filter or the program is refused.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_MAX 16u

struct named {
    const char *name;
    int number;
};

static const struct named calls[] = {
    {"clone3", SYS_clone3},
    {"close_range", SYS_close_range},
    {"epoll_pwait2", SYS_epoll_pwait2},
    {"execveat", SYS_execveat},
    {"faccessat2", SYS_faccessat2},
    {"getrandom", SYS_getrandom},
    {"io_uring_setup", SYS_io_uring_setup},
    {"madvise", SYS_madvise},
    {"membarrier", SYS_membarrier},
    {"memfd_create", SYS_memfd_create},
#ifdef SYS_memfd_secret
    {"memfd_secret", SYS_memfd_secret},
#endif
    {"mlock", SYS_mlock},
    {"mlock2", SYS_mlock2},
    {"openat2", SYS_openat2},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"rseq", SYS_rseq},
    {"statx", SYS_statx},
};

static const struct named errors[] = {{"ENOSYS", ENOSYS},
                                      {"EPERM", EPERM},
                                      {"ENOMEM", ENOMEM},
                                      {"EAGAIN", EAGAIN},
                                      {"ENFILE", ENFILE}};

static int number_of(const struct named *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return table[i].number;
        }
    }
    (void)fprintf(stderr, "deny: \"%s\" is not known\n", name);
    exit(2);
}

static struct sock_filter step(unsigned code, unsigned value, unsigned char if_not)
{
    return (struct sock_filter){.code = (unsigned short)code, .k = value, .jf = if_not};
}

/* For each call: equal, or jump over the refusal that follows. */
static unsigned short fill(struct sock_filter *room, char *names, unsigned refusal)
{
    unsigned short n = 0;
    char *rest = NULL;
    room[n++] = step(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0);
    for (char *name = strtok_r(names, ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest)) {
        int call = number_of(calls, sizeof(calls) / sizeof(calls[0]), name);
        if (n > 2 * CALLS_MAX) {
            exit(2);
        }
        room[n++] = step(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 1);
        room[n++] = step(BPF_RET | BPF_K, refusal, 0);
    }
    room[n++] = step(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0);
    return n;
}

int main(int argc, char **argv)
{
    struct sock_filter filter[2 * CALLS_MAX + 4];
    if (argc < 4) {
        return 2;
    }
    int error = number_of(errors, sizeof(errors) / sizeof(errors[0]), argv[1]);
    struct sock_fprog program = {.len = fill(filter, argv[2], SECCOMP_RET_ERRNO | (unsigned)error),
                                 .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
        perror("deny");
        return 126;
    }
    (void)execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 126;
}
