/* pin-retry: forgets that the PIN was refused, so that the token process tries it once more. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/workplace.h"

#define LOCK_WAIT_MS 30000

/* A login that is under way holds the lock; its verdict must not be overwritten. */
static err_t lock_pin(int fd)
{
    err_t err = state_wait_lock(fd, LOCK_WAIT_MS);
    return err.code == E_DEADLINE
               ? FAIL(E_STATE, "a login has held pin.lock for 30 s: try again when it has ended")
               : err;
}

static err_t forget(const struct config *config)
{
    CLEANUP(workplace_close) struct workplace workplace = {.state = {.fd = -1}};
    OWN_FD lock_fd = -1;
    TRY(workplace_open_state(config, true, &workplace));
    TRY(state_open_pin_lock(&workplace.state, &lock_fd));
    TRY(lock_pin(lock_fd));
    OWN_FD empty = memfd_create("p11-kms-pin", MFD_CLOEXEC);
    if (empty < 0) {
        return FAIL_ERRNO("cannot make an empty record");
    }
    return state_store(&workplace.state, STATE_PIN, empty, 0);
}

int ctl_pin_retry(struct ctl *ctl)
{
    if (!options_command(ctl, NULL, 0, NULL)) {
        return CTL_USAGE;
    }
    err_t err = forget(&ctl->config);
    if (failed(err)) {
        return ctl_failed(ctl, err);
    }
    OWN_JSON *report = json_object();
    output_bool(report, "pin_retry", true);
    output_text(report, "next", "the token process tries the PIN once more within 5 s");
    return output_print(ctl, report) ? CTL_OK : CTL_UNTOLD;
}
