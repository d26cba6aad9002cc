#define _GNU_SOURCE
#include "base/role_launch.h"

#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"

/* What is made for one start: ours to close, but for what the keeper gets. */
struct made {
    int theirs[ROLE_FD_COUNT];
    int control_fd;
    int service_fd;
};

static struct made nothing_made(void)
{
    struct made made = {.control_fd = -1, .service_fd = -1};
    for (int i = 0; i < ROLE_FD_COUNT; i++) {
        made.theirs[i] = -1;
    }
    return made;
}

static void made_close(struct made *made)
{
    for (int i = 0; i < ROLE_FD_COUNT; i++) {
        own_fd_close_p(&made->theirs[i]);
    }
    own_fd_close_p(&made->control_fd);
    own_fd_close_p(&made->service_fd);
}

static err_t make_pair(int *ret_ours, int *ret_theirs)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return FAIL_ERRNO("cannot make a socket for a role");
    }
    *ret_ours = ends[0];
    *ret_theirs = ends[1];
    return OK;
}

err_t role_config_for(const struct role_row *row, const struct config *config, uint32_t token,
                      int *ret_fd)
{
    if (!row->of_token) {
        return role_config_fd(config, ret_fd);
    }
    struct config own = *config;
    own.tokens[0] = config->tokens[token];
    for (uint32_t i = 1; i < CONFIG_TOKENS_MAX; i++) {
        own.tokens[i] = (struct config_token){0};
    }
    own.tokens_n = 1;
    return role_config_fd(&own, ret_fd);
}

static err_t make_one(const struct role_launch *launch, int number, struct made *made)
{
    int *theirs = &made->theirs[number];
    switch (number) {
    case ROLE_FD_CONFIG:
        return role_config_for(launch->row, launch->config, launch->token, theirs);
    case ROLE_FD_CONTROL:
        return make_pair(&made->control_fd, theirs);
    case ROLE_FD_SERVICE:
        return make_pair(&made->service_fd, theirs);
    case ROLE_FD_PIN_LOCK:
        return state_open_pin_lock(launch->state, theirs);
    default:
        return FAIL(E_BUG, "a row of the roles wants a descriptor that nobody makes");
    }
}

/* *ret_fds borrows what is given and what was made. */
static err_t gather(const struct role_launch *launch, struct made *made, int ret_fds[ROLE_FD_COUNT])
{
    for (int i = 0; i < ROLE_FD_COUNT; i++) {
        ret_fds[i] = -1;
        if ((launch->row->made & 1u << i) != 0) {
            TRY(make_one(launch, i, made));
            ret_fds[i] = made->theirs[i];
        } else if ((launch->row->given & 1u << i) != 0) {
            ret_fds[i] = launch->given[i];
            if (ret_fds[i] <= STDERR_FILENO) {
                return FAIL(E_BUG, "a role is started without a descriptor of its row");
            }
        }
    }
    return OK;
}

static void list_environment(const struct role_launch *launch,
                             const char *ret_env[CONFIG_ENV_MAX + 1])
{
    const struct config_token *token = &launch->config->tokens[launch->token];
    uint32_t n = 0;
    while (launch->row->of_token && n < token->env_n && n < CONFIG_ENV_MAX) {
        ret_env[n] = token->env[n];
        n++;
    }
    ret_env[n] = NULL;
}

static err_t find_user(const char *name, struct role_user *ret_user)
{
    const struct passwd *entry = getpwnam(name);
    if (entry == NULL) {
        return FAIL(E_NOT_FOUND, "the user of a role is not known to this system");
    }
    *ret_user = (struct role_user){.uid = entry->pw_uid, .gid = entry->pw_gid};
    return OK;
}

err_t role_launch(const struct role_launch *launch, struct role_running *ret_running)
{
    CLEANUP(made_close) struct made made = nothing_made();
    int fds[ROLE_FD_COUNT];
    const char *env[CONFIG_ENV_MAX + 1];
    struct role_user user;
    const char *name = launch->row->user;
    if (name != NULL) {
        TRY(find_user(name, &user));
    }
    TRY(gather(launch, &made, fds));
    list_environment(launch, env);
    TRY(role_spawn(launch->program, fds, env, name == NULL ? NULL : &user, &ret_running->pid));
    ret_running->control_fd = own_fd_take(&made.control_fd);
    ret_running->service_fd = own_fd_take(&made.service_fd);
    return OK;
}

err_t role_renew_service(int control_fd, int *ret_fd)
{
    OWN_FD ours = -1;
    OWN_FD theirs = -1;
    TRY(make_pair(&ours, &theirs));
    TRY(role_send(control_fd, &(struct role_message){.kind = ROLE_TOKEN_SOCKET}, theirs));
    *ret_fd = own_fd_take(&ours);
    return OK;
}
