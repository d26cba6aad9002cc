/* options: the command line of p11-kmsd. */
#ifndef SERVER_SUPERVISOR_OPTIONS_H
#define SERVER_SUPERVISOR_OPTIONS_H

#include <stdio.h>

#include "base/err.h"

enum options_mode { OPTIONS_RUN, OPTIONS_CHECK, OPTIONS_VERSION, OPTIONS_HELP };

struct options {
    enum options_mode mode;
    const char *config_path; /* borrowed from argv */
};

/*
 * E_INVALID for an unknown option, a missing value or an operand; getopt has said which to stderr.
 */
MUST_USE err_t options_parse(int argc, char **argv, struct options *ret_options);
void options_print_help(FILE *out);
void options_print_version(FILE *out);

#endif
