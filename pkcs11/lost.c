#include "pkcs11/lost.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/log.h"
#include "pkcs11/rv.h"

_Noreturn void token_lost(const char *why, err_t err)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&said)) {
        log_event(EVENT_TOKEN_LOST, LOG_TEXT("why", why),
                  LOG_TEXT("rv_name", err.code == E_TOKEN ? rv_name(err.detail) : "none"),
                  LOG_ERR(err));
    }
    /* Not exit(): the module's destructors must not run under threads that are inside it. */
    _exit(TOKEN_EXIT_LOST);
}
