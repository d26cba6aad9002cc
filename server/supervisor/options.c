#define _GNU_SOURCE
#include "server/supervisor/options.h"

#include <getopt.h>

#include "base/config.h"
#include "base/version.h"

err_t options_parse(int argc, char **argv, struct options *ret_options)
{
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"check-config", no_argument, NULL, 'k'},
                                          {"version", no_argument, NULL, 'V'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct options options = {OPTIONS_RUN, CONFIG_DEFAULT_PATH};
    optind = 0; /* anew for each call */
    for (int found = 0; (found = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (found) {
        case 'c':
            options.config_path = optarg;
            break;
        case 'k':
            options.mode = OPTIONS_CHECK;
            break;
        case 'V':
            options.mode = OPTIONS_VERSION;
            break;
        case 'h':
            options.mode = OPTIONS_HELP;
            break;
        default:
            return FAIL(E_INVALID, "an option is not known");
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "%s: unexpected argument \"%s\"\n", argv[0], argv[optind]);
        return FAIL(E_INVALID, "an argument is not expected");
    }
    *ret_options = options;
    return OK;
}

void options_print_help(FILE *out)
{
    (void)fputs(
        "Usage: p11-kmsd [--config PATH] [--check-config]\n"
        "Kubernetes KMS plugin whose key-encryption keys never leave a PKCS#11 token.\n\n"
        "  --config PATH   configuration (default " CONFIG_DEFAULT_PATH ")\n"
        "  --check-config  check it, say what is wrong, and exit 0 or 78\n"
        "  --version       version and build\n"
        "  --help          this text\n\n"
        "SIGHUP reloads the configuration, SIGTERM drains and ends.\n"
        "Exit: 0 ended as told, 64 usage, 75 another instance, 78 configuration, 1 else.\n\n"
        "Configuration:\n",
        out);
    config_print_schema(out);
}

void options_print_version(FILE *out)
{
    (void)fprintf(out, "p11-kmsd %s (build %s)\n", P11KMS_VERSION, P11KMS_BUILD_ID);
    if (P11KMS_TEST_BUILD) {
        (void)fputs("test build: LD_PRELOAD, FAKETIME*, *SAN_OPTIONS, LLVM_PROFILE_FILE and GCOV_* "
                    "are passed to "
                    "the roles\n",
                    out);
    }
}
