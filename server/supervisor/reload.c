#include "server/supervisor/reload.h"

#include "base/log.h"
#include "base/own.h"
#include "base/role_launch.h"
#include "server/supervisor/notify.h"
#include "server/supervisor/tell.h"

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

/* One for each role, in the order of `roles`. */
struct configs {
    int fds[SUPERVISOR_ROLES_MAX];
    size_t n;
};

static void configs_close(struct configs *configs)
{
    for (size_t i = 0; i < configs->n; i++) {
        own_fd_close_p(&configs->fds[i]);
    }
}

static err_t make_configs(const struct supervisor *supervisor, const struct config *config,
                          struct configs *configs)
{
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        const struct keeping *role = &supervisor->roles[i];
        TRY(role_config_for(role->row, config, role->token, &configs->fds[i]));
        configs->n++;
    }
    return OK;
}

static err_t apply(struct supervisor *supervisor)
{
    struct config config;
    CLEANUP(configs_close) struct configs configs = {.n = 0};
    TRY(load(supervisor, &config));
    TRY(make_configs(supervisor, &config, &configs));
    supervisor->config = config;
    log_set(config.log_format, config.log_level);
    for (size_t i = 0; i < supervisor->roles_n; i++) {
        tell_role(&supervisor->roles[i], ROLE_RELOAD, configs.fds[i]);
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
