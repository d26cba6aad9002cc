/* p11-kmsd: the supervisor. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "server/supervisor/listener.h"
#include "server/supervisor/options.h"
#include "server/supervisor/problem.h"
#include "server/supervisor/supervisor.h"

static int load(const char *path, struct config *config)
{
    struct config_problem problem = {.text = ""};
    err_t err = config_load(path, config, &problem);
    if (!failed(err)) {
        return EXIT_SUCCESS;
    }
    if (problem.text[0] != '\0') {
        (void)fprintf(stderr, "p11-kmsd: %s\n", problem.text);
    } else {
        (void)fprintf(stderr, "p11-kmsd: %s: %s: %s\n", path, err.what,
                      err.code == E_SYSTEM ? strerror((int)err.detail) : err_code_name(err.code));
    }
    return EXIT_CONFIG;
}

static int run(const struct config *config)
{
    static struct supervisor room;
    CLEANUP(supervisor_close_p) struct supervisor *supervisor = &room;
    struct problem problem = {.exit_code = EXIT_FAILURE};
    log_init("p11-kmsd", config->log_format, config->log_level);
    supervisor_init(supervisor, config);
    err_t err = supervisor_open(supervisor, &problem);
    if (failed(err)) {
        (void)fprintf(stderr, "p11-kmsd: %s\n", problem.text);
        return problem.exit_code;
    }
    log_event(EVENT_STARTED, LOG_TEXT("version", P11KMS_VERSION),
              LOG_TEXT("build", P11KMS_BUILD_ID), LOG_NUM("pid", getpid()));
    if (geteuid() == 0) {
        log_event(EVENT_RUNS_AS_ROOT,
                  LOG_TEXT("advice", "run it as the user p11-kms, as the shipped unit does"));
    }
    supervisor_run(supervisor);
    if (supervisor->exit_code == EXIT_CONFIG) {
        (void)listener_turn_away_from(supervisor->listener.fd);
    }
    return supervisor->exit_code;
}

static int check(const char *path)
{
    static struct config config;
    int exit_code = load(path, &config);
    if (exit_code == EXIT_SUCCESS) {
        (void)printf("%s: ok\n", path);
    }
    return exit_code;
}

static int serve(const char *path)
{
    static struct config config;
    err_t err = role_harden();
    if (failed(err)) {
        (void)fprintf(stderr, "p11-kmsd: %s: %s\n", err.what, strerror((int)err.detail));
        return EXIT_FAILURE;
    }
    int exit_code = load(path, &config);
    if (exit_code == EXIT_SUCCESS) {
        exit_code = run(&config);
    }
    if (exit_code == EXIT_CONFIG) {
        listener_turn_away();
    }
    return exit_code;
}

int main(int argc, char **argv)
{
    struct options options;
    if (failed(options_parse(argc, argv, &options))) {
        (void)fputs("Try: p11-kmsd --help\n", stderr);
        return EXIT_USAGE;
    }
    switch (options.mode) {
    case OPTIONS_CHECK:
        return check(options.config_path);
    case OPTIONS_VERSION:
        options_print_version(stdout);
        return EXIT_SUCCESS;
    case OPTIONS_HELP:
        options_print_help(stdout);
        return EXIT_SUCCESS;
    case OPTIONS_RUN:
        break;
    }
    return serve(options.config_path);
}
