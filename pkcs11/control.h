/*
 * control: the thread that reads what the process's keeper says. A reload, a new client and a
 * new lock of the PIN record take effect here, at any time and whatever the module does; pings are
 * answered; answers about the PIN record go on to the one who asked.
 */
#ifndef PKCS11_CONTROL_H
#define PKCS11_CONTROL_H

#include "base/err.h"

/*
 * Starts the thread, which owns ROLE_FD_CONTROL's reading side. *ret_fd: a control socket for the
 * blocking forms of base/role.h, for one thread; what is sent on it reaches the keeper, and only
 * answers about state files come back. It lives as long as the process, and closes when the keeper
 * goes. Once.
 */
MUST_USE err_t control_start(int *ret_fd);

#endif
