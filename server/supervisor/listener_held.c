#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "server/supervisor/listener.h"

bool listener_is_there(const struct config_listen *config, const struct listener *listener)
{
    struct stat st;
    return listener->inode == 0 || (lstat(config->socket, &st) == 0 &&
                                    st.st_dev == listener->device && st.st_ino == listener->inode);
}

static bool still_ours(const struct listener *listener)
{
    struct stat st;
    return fstatat(listener->folder_fd, listener->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_dev == listener->device && st.st_ino == listener->inode;
}

void listener_close(struct listener *listener)
{
    if (listener->folder_fd >= 0 && still_ours(listener)) {
        (void)unlinkat(listener->folder_fd, listener->name, 0);
    }
    own_fd_close_p(&listener->folder_fd);
    own_fd_close_p(&listener->fd);
    *listener = (struct listener){.fd = -1, .folder_fd = -1};
}
