/* pin-retry: forgets that the PIN was refused, so that the token process tries it once more. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/workplace.h"

#define LOCK_WAIT_MS 30000
#define RECORD_MAX   16384u

/* A login that is under way holds the lock; its verdict must not be overwritten. */
static err_t lock_pin(int fd)
{
    err_t err = state_wait_lock(fd, LOCK_WAIT_MS);
    return err.code == E_DEADLINE
               ? FAIL(E_STATE, "a login has held pin.lock for 30 s: try again when it has ended")
               : err;
}

/* A line of the record for a PIN that the token refused has this word. */
static bool is_refused(const struct state_dir *state, const char *part)
{
    uint8_t record[RECORD_MAX];
    size_t len = 0;
    struct span_mut room = span_mut_of(record, sizeof(record));
    return !failed(state_read(state, STATE_PIN, part, room, &len)) && len > 0 &&
           memmem(record, len, "failed", 6) != NULL;
}

/* Each token's record; and the one without a part, for a token that has none of its own yet. */
static err_t empty_records(const struct state_dir *state, bool *ret_refused)
{
    OWN_FD empty = memfd_create("p11-kms-pin", MFD_CLOEXEC);
    char part[STATE_PART_MAX];
    bool first = true;
    bool refused = false;
    if (empty < 0) {
        return FAIL_ERRNO("cannot make an empty record");
    }
    err_t found = state_find_part(state, STATE_PIN, part);
    for (; !failed(found); found = state_find_part(state, STATE_PIN, part)) {
        first = false;
        refused = is_refused(state, part) || refused;
        TRY(state_store(state, STATE_PIN, part, empty, 0));
    }
    if (found.code != E_NOT_FOUND) {
        return found;
    }
    *ret_refused = first ? is_refused(state, NULL) : refused;
    return state_store(state, STATE_PIN, NULL, empty, 0);
}

/* The lock of the state folder names who holds it, or held it last. */
static bool daemon_runs(const struct state_dir *state)
{
    char path[64];
    char name[32] = "";
    int64_t pid = state_lock_holder(state);
    (void)snprintf(path, sizeof(path), "/proc/%lld/comm", (long long)pid);
    OWN_FILE *file = pid <= 0 ? NULL : fopen(path, "re");
    return file != NULL && fgets(name, sizeof(name), file) != NULL &&
           strcmp(name, "p11-kmsd\n") == 0;
}

static const char *next_step(bool refused, bool runs)
{
    if (runs) {
        return refused ? "p11-kmsd tries the PIN once more within 5 s"
                       : "nothing was refused here: if p11-kmsd is not logged in, it tries the PIN "
                         "within 5 s; p11-kmsctl status says what it waits for";
    }
    return "no p11-kmsd is seen to run on this state folder: the PIN is tried when it starts, or "
           "by the next p11-kmsctl that needs the token";
}

static err_t forget(const struct config *config, json_t *report)
{
    CLEANUP(workplace_close) struct workplace workplace = {.state = {.fd = -1}};
    OWN_FD lock_fd = -1;
    TRY(workplace_open_state(config, &workplace));
    TRY(state_open_pin_lock(&workplace.state, &lock_fd));
    TRY(lock_pin(lock_fd));
    bool refused = false;
    TRY(empty_records(&workplace.state, &refused));
    output_bool(report, "pin_retry", true);
    output_bool(report, "was_refused", refused);
    output_text(report, "next", next_step(refused, daemon_runs(&workplace.state)));
    return OK;
}

int ctl_pin_retry(struct ctl *ctl)
{
    if (!options_command(ctl, NULL, 0, NULL)) {
        return CTL_USAGE;
    }
    OWN_JSON *report = json_object();
    err_t err = forget(&ctl->config, report);
    if (failed(err)) {
        return ctl_failed(ctl, err);
    }
    return output_print(ctl, report) ? CTL_OK : CTL_UNTOLD;
}
