#include "server/supervisor/reload.h"

#include "base/log.h"
#include "base/own.h"
#include "server/supervisor/tell.h"
#include "server/supervisor/notify.h"

/* A refusal must be seen at any log level: the operator waits for an effect. */
static err_t load(const struct supervisor *supervisor, struct config *ret_config)
{
    struct config_problem problem = {.text = ""};
    err_t err = config_load(supervisor->config.path, ret_config, &problem);
    if (failed(err)) {
        log_event(EVENT_RELOAD_REFUSED, LOG_TEXT("problem", problem.text), LOG_ERR(err));
        return err;
    }
    char fixed[CONFIG_SETTING_LEN];
    if (config_fixed_difference(&supervisor->config, ret_config, fixed)) {
        log_event(EVENT_RELOAD_REFUSED, LOG_TEXT("setting", fixed),
                  LOG_TEXT("problem",
                           "this setting changes only by a restart; the old configuration stays"));
        return FAIL(E_INVALID, "a setting cannot change in place");
    }
    return OK;
}

static err_t apply(struct supervisor *supervisor)
{
    struct config config;
    OWN_FD fd = -1;
    TRY(load(supervisor, &config));
    TRY(role_config_fd(&config, &fd));
    supervisor->config = config;
    log_set(config.log_format, config.log_level);
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        tell_role(&supervisor->roles[i], ROLE_RELOAD, fd);
    }
    return OK;
}

/*
 * The service manager takes the word after a reload for the first one, which is not ours to say
 * yet.
 */
void reload(struct supervisor *supervisor)
{
    if (supervisor->ready) {
        notify_reloading();
    }
    if (!failed(apply(supervisor))) {
        log_event(EVENT_RELOADED);
    }
    if (supervisor->ready) {
        notify_ready();
    }
}
