/*
 * p11-kmsctl: the operator's tool. Reads the command line and the configuration, runs one command.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/version.h"
#include "ctl/ctl.h"
#include "ctl/options.h"

static int usage(const char *what, const char *arg)
{
    (void)fprintf(stderr, "p11-kmsctl: %s: %s (see --help)\n", what, arg);
    return CTL_USAGE;
}

static int print_version(void)
{
    (void)printf("p11-kmsctl %s (build %s%s)\n", P11KMS_VERSION, P11KMS_BUILD_ID,
                 P11KMS_TEST_BUILD ? ", test build" : "");
    return CTL_OK;
}

static int load_config(const char *path, struct config *config)
{
    struct config_problem problem = {0};
    err_t err = config_load(path, config, &problem);
    if (failed(err)) {
        (void)fprintf(stderr, "p11-kmsctl: %s\n",
                      problem.text[0] != '\0' ? problem.text : err.what);
        return CTL_CONFIG;
    }
    return CTL_OK;
}

/*
 * What prints must fail as an error, not kill us: a KEK may have been made by then. And a
 * descriptor that is closed must not become that of a socket or a file, into which the answer would
 * go.
 */
static bool guard_streams(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd) {
            return false;
        }
    }
    return true;
}

/* The arena stands before libcrypto allocates anything. */
static int run(const struct ctl_command *command, struct ctl *ctl)
{
    err_t err = secret_init(&secret_budget_ctl);
    if (!failed(err)) {
        err = secret_serve_crypto(false);
    }
    return failed(err) ? ctl_failed(ctl, err) : command->run(ctl);
}

int main(int argc, char **argv)
{
    static struct ctl ctl;
    struct options options;
    const char *bad = NULL;
    if (!guard_streams()) {
        return CTL_FAILED;
    }
    ctl.out = stdout;
    ctl.err = stderr;
    ctl.args = argv;
    if (failed(options_global(argc, argv, &options, &ctl.args_n, &bad))) {
        return usage("option used wrongly", bad);
    }
    if (options.version) {
        return print_version();
    }
    const struct ctl_command *command = options.command == NULL ? NULL : ctl_find(options.command);
    if (options.command != NULL && command == NULL) {
        return usage("unknown command", options.command);
    }
    if (options.help && command != NULL) {
        ctl_print_command_help(stdout, command);
        return CTL_OK;
    }
    if (command == NULL) {
        ctl_print_help(options.help ? stdout : stderr);
        return options.help ? CTL_OK : CTL_USAGE;
    }
    if (!options_output(options.output, &ctl.output)) {
        return usage("--output is table or json", options.output);
    }
    int code = command->needs_config ? load_config(options.config_path, &ctl.config) : CTL_OK;
    return code == CTL_OK ? run(command, &ctl) : code;
}
