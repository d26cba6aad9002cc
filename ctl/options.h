/*
 * options: the command line, as a table of flags. No abbreviations; --name VALUE and --name=VALUE.
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "ctl/ctl.h"

struct option_flag {
    const char *name;   /* with its dashes */
    bool *set;          /* set to true when it is given; may be NULL */
    const char **value; /* takes a value; NULL: it does not */
};

/* What stands before or after the subcommand, wherever it is. */
struct options {
    const char *config_path;
    const char *output;
    const char *command; /* NULL: none given */
    bool help;
    bool version;
};

/*
 * Takes the global options and the command's name out of argv; the rest moves to its front,
 * *ret_rest_n of it. E_INVALID with the offending argument in *ret_bad.
 */
MUST_USE err_t options_global(int argc, char **argv, struct options *ret_options, int *ret_rest_n,
                              const char **ret_bad);

/*
 * The command's own flags; at most one operand, which goes to *ret_operand (NULL: none allowed).
 * Says what is wrong on ctl->err. False: usage.
 */
bool options_command(const struct ctl *ctl, const struct option_flag *flags, size_t n,
                     const char **ret_operand);

/* "table" or "json"; false otherwise. */
bool options_output(const char *text, enum ctl_output *ret_output);

#endif
