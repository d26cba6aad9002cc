/*
 * own: who frees what. An owner is declared with CLEANUP(x_free_p) and set at once; ownership
 * leaves only by TAKE(). Every free function accepts NULL and half-built objects.
 */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn_) __attribute__((cleanup(fn_)))

/* Defines fn_##_p, the cleanup handler for a variable of pointer type `type_`. */
#define DEFINE_CLEANUP(type_, fn_)                                                                 \
    static inline void fn_##_p(type_ *owner)                                                       \
    {                                                                                              \
        fn_(*owner);                                                                               \
    }

/* Moves a pointer out of its owner: the owner holds NULL afterwards. */
#define TAKE(owner_)                                                                               \
    __extension__({                                                                                \
        __typeof__(owner_) take_ = (owner_);                                                       \
        (owner_) = NULL;                                                                           \
        take_;                                                                                     \
    })

static inline void own_fd_close_p(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

/* Moves a descriptor out of its owner: the owner holds -1 afterwards. */
static inline int own_fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static inline void own_file_close_p(FILE **file)
{
    if (*file != NULL) {
        (void)fclose(*file);
    }
}

static inline void own_dir_close_p(DIR **dir)
{
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

static inline void own_free_p(void *owner)
{
    free(*(void **)owner);
}

#define OWN_FD   CLEANUP(own_fd_close_p) int
#define OWN_FILE CLEANUP(own_file_close_p) FILE

#endif
