#include "server/supervisor/folder.h"

#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "server/supervisor/tell.h"

/* One that was opened for it alone: what is locked by one descriptor, its copies have locked. */
static void give_pin_lock(const struct supervisor *supervisor, struct keeping *role)
{
    OWN_FD fd = -1;
    err_t err = state_open_pin_lock(&supervisor->state, &fd);
    if (failed(err)) {
        log_event(EVENT_PIN_LOCK_NOT_GIVEN, LOG_ERR(err));
        return;
    }
    tell_role(role, ROLE_PIN_LOCK, fd);
}

static void replace_pin_lock(struct supervisor *supervisor)
{
    own_fd_close_p(&supervisor->pin_lock_fd);
    supervisor->pin_lock_fd = -1;
    err_t err = state_open_pin_lock(&supervisor->state, &supervisor->pin_lock_fd);
    if (failed(err) && err.detail != supervisor->pin_lock_said) {
        log_event(EVENT_PIN_LOCK_NOT_GIVEN, LOG_ERR(err));
    }
    supervisor->pin_lock_said = failed(err) ? err.detail : 0;
    for (size_t i = 0; !failed(err) && i < supervisor->roles_n; i++) {
        if ((supervisor->roles[i].row->made & 1u << ROLE_FD_PIN_LOCK) != 0) {
            give_pin_lock(supervisor, &supervisor->roles[i]);
        }
    }
}

/*
 * It may be removed alone, or with its folder: what the roles hold then is a file that no process
 * which starts later would look at.
 */
static void keep_pin_lock(struct supervisor *supervisor)
{
    if (supervisor->pin_lock_fd < 0 ||
        !state_pin_lock_in_place(&supervisor->state, supervisor->pin_lock_fd)) {
        replace_pin_lock(supervisor);
    }
}

static err_t take_new(struct supervisor *supervisor)
{
    CLEANUP(state_close) struct state_dir fresh = {.fd = -1};
    OWN_FD lock_fd = -1;
    TRY(state_open(supervisor->config.state_dir, supervisor->state.realm, true, &fresh));
    TRY(state_lock(&fresh, &lock_fd));
    state_close(&supervisor->state);
    own_fd_close_p(&supervisor->lock_fd);
    supervisor->state = fresh;
    fresh.fd = -1;
    supervisor->lock_fd = own_fd_take(&lock_fd);
    log_event(EVENT_STATE_FOLDER_NEW, LOG_TEXT("folder", supervisor->config.state_dir),
              LOG_TEXT("text", "it, or its lock, was gone: what is remembered is stored anew"));
    tell_role_text(supervisor_front(supervisor), ROLE_STATE_TROUBLE, "");
    return OK;
}

/* Once for each reason, however often it is looked at. */
static void say_trouble(struct supervisor *supervisor, err_t err)
{
    char text[sizeof(supervisor->trouble)];
    state_explain(supervisor->config.state_dir, "", err, text, sizeof(text));
    if (!span_equal(span_of_text(text), span_of_text(supervisor->trouble))) {
        span_move(supervisor->trouble, text, sizeof(text));
        log_event(EVENT_STATE_FOLDER_LOST, LOG_TEXT("mend", text));
        tell_role_text(supervisor_front(supervisor), ROLE_STATE_TROUBLE, text);
    }
}

err_t folder_ready(struct supervisor *supervisor)
{
    bool ours = state_in_place(&supervisor->state) &&
                state_lock_in_place(&supervisor->state, supervisor->lock_fd);
    err_t err = ours ? OK : take_new(supervisor);
    if (failed(err)) {
        say_trouble(supervisor, err);
        return err;
    }
    if (ours && supervisor->trouble[0] != '\0') { /* moved away, and back */
        tell_role_text(supervisor_front(supervisor), ROLE_STATE_TROUBLE, "");
    }
    supervisor->trouble[0] = '\0';
    keep_pin_lock(supervisor);
    return OK;
}

void folder_tick(struct supervisor *supervisor, int64_t now_ms)
{
    if (now_ms >= supervisor->folder_ms) {
        supervisor->folder_ms = now_ms + FOLDER_LOOK_MS;
        (void)!failed(folder_ready(supervisor));
    }
}
