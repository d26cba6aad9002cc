/* What the files of the state folder are called. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/state.h"
#include "base/state_table.h"

/* It comes from a role and becomes part of a name: nothing but hex leads out of no folder. */
static bool is_part(const char *text)
{
    size_t n = strspn(text, "0123456789abcdef");
    return n > 0 && n < STATE_PART_MAX && text[n] == '\0';
}

err_t state_file_name(const struct state_dir *dir, enum state_file file, const char *part,
                      char ret_name[STATE_NAME_MAX])
{
    const struct state_row *row = state_row(file);
    bool whole = part == NULL || part[0] == '\0';
    if (row == NULL || (!whole && !(row->in_parts && is_part(part)))) {
        return FAIL(E_INVALID, "there is no such state file");
    }
    (void)snprintf(ret_name, STATE_NAME_MAX, "%s%s%s%s", row->name,
                   row->per_realm ? dir->realm : "", whole ? "" : ".", whole ? "" : part);
    return OK;
}

/* The part that this name in the folder stands for, or NULL. */
static const char *part_of(const char *name, const struct state_row *row)
{
    size_t n = strlen(row->name);
    bool ours = strncmp(name, row->name, n) == 0 && name[n] == '.';
    return ours && is_part(name + n + 1) ? name + n + 1 : NULL;
}

static bool is_empty(const struct state_dir *dir, const char *name)
{
    struct stat st;
    return fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == 0;
}

static DIR *open_listing(const struct state_dir *dir)
{
    OWN_FD fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (listing != NULL) {
        (void)own_fd_take(&fd);
    }
    return listing;
}

err_t state_find_part(const struct state_dir *dir, enum state_file file,
                      char ret_part[STATE_PART_MAX])
{
    const struct state_row *row = state_row(file);
    if (row == NULL || !row->in_parts) {
        return FAIL(E_INVALID, "this state file has no parts");
    }
    DIR *listing = open_listing(dir);
    if (listing == NULL) {
        return FAIL_ERRNO("cannot list the state directory");
    }
    err_t err = FAIL(E_NOT_FOUND, "no part of the state file has anything in it");
    for (const struct dirent *entry = NULL; (entry = readdir(listing)) != NULL;) {
        const char *part = part_of(entry->d_name, row);
        if (part != NULL && !is_empty(dir, entry->d_name)) {
            span_move(ret_part, part, strlen(part) + 1);
            err = OK;
            break;
        }
    }
    (void)closedir(listing);
    return err;
}
