#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "base/state.h"

int state_errno(err_t err)
{
    switch ((int)err.code) {
    case E_NONE:
        return 0;
    case E_STATE:
        return EBUSY;
    case E_DENIED:
        return EACCES;
    default:
        return err.code == E_SYSTEM && err.detail != 0 ? (int)err.detail : EINVAL;
    }
}

static const char *mend_of(err_t err)
{
    switch (state_errno(err)) {
    case ENOSPC:
    case EDQUOT:
        return ": make room on its file system";
    case EFBIG:
        return ": raise the limit of file sizes (LimitFSIZE= in the unit, ulimit -f)";
    case EROFS:
        return ": make its file system writable (in the unit: ReadWritePaths=), or if it was made "
               "anew, systemctl "
               "restart p11-kms";
    case EACCES:
    case EPERM:
        return ": it must belong to the user of the daemon, with mode 0700";
    case ENOENT:
    case ENOTDIR:
        return ": make it again (systemctl restart p11-kms, or systemd-tmpfiles --create "
               "p11-kms.conf)";
    case EIO:
        return ": check its disk";
    case EBUSY:
        return ": end the other p11-kmsd";
    case EWOULDBLOCK:
        return ": end or continue that process";
    default:
        return "";
    }
}

void state_explain(const char *folder, const char *name, err_t err, char *ret_text, size_t size)
{
    const char *slash = name[0] == '\0' ? "" : "/";
    const char *why = err.code == E_SYSTEM ? strerrordesc_np((int)err.detail) : NULL;
    (void)snprintf(ret_text, size, "%s%s%s: %s%s%s%s", folder, slash, name, err.what,
                   why == NULL ? "" : ": ", why == NULL ? "" : why, mend_of(err));
}
