#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"

static err_t own_folder(char path[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (len <= 0) {
        return FAIL_ERRNO("cannot tell where this program lies (is /proc mounted?)");
    }
    path[len] = '\0';
    *strrchr(path, '/') = '\0';
    return OK;
}

static int open_in(const char *folder, const char *name)
{
    OWN_FD dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_CLOEXEC);
}

err_t role_program_open(const char *name, struct role_program *ret_program)
{
    char folder[PATH_MAX];
    struct role_program program = {.fd = -1};
    if ((size_t)snprintf(program.name, sizeof(program.name), "%s", name) >= sizeof(program.name)) {
        return FAIL(E_BUG, "the name of a program is too long");
    }
    TRY(own_folder(folder));
    OWN_FD fd = open_in(folder, name);
    if (fd < 0 && errno == ENOENT) {
        fd = open_in(P11KMS_LIBEXEC, name);
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return FAIL_ERRNO("cannot open a program of ours, beside this one or in " P11KMS_LIBEXEC);
    }
    if (!S_ISREG(st.st_mode)) {
        return FAIL(E_INVALID, "a program of ours is not a regular file");
    }
    program.fd = own_fd_take(&fd);
    *ret_program = program;
    return OK;
}

void role_program_close(struct role_program *program)
{
    own_fd_close_p(&program->fd);
    program->fd = -1;
}
