/*
 * ctl: what every subcommand of p11-kmsctl is given and gives back. One file per subcommand; the
 * table in commands.c maps names to functions.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stdio.h>

#include "base/config.h"
#include "base/err.h"

enum ctl_exit {
    CTL_OK = 0,
    CTL_FINDING = 1, /* it works, but something is not as it should be */
    CTL_FAILED = 2,  /* no answer, or it could not be done */
    CTL_UNTOLD = 3,  /* done, but the answer could not be written: do not do it again */
    CTL_USAGE = 64,
    CTL_CONFIG = 78
};

enum ctl_output { CTL_TABLE, CTL_JSON };

struct ctl {
    struct config config; /* filled in for commands with needs_config */
    enum ctl_output output;
    FILE *out;
    FILE *err;
    char **args; /* what is left for the command, its name not counted */
    int args_n;
};

struct ctl_command {
    const char *name;
    const char *usage;   /* what may follow the name */
    const char *summary; /* one line */
    const char *help;    /* more, ends with a newline */
    bool needs_config;
    int (*run)(struct ctl *ctl);
};

int ctl_init(struct ctl *ctl);
int ctl_rotate(struct ctl *ctl);
int ctl_keys(struct ctl *ctl);
int ctl_status(struct ctl *ctl);
int ctl_pin_retry(struct ctl *ctl);
int ctl_inspect(struct ctl *ctl);

/* NULL when there is none of that name. */
const struct ctl_command *ctl_find(const char *name);
void ctl_print_help(FILE *out);
void ctl_print_command_help(FILE *out, const struct ctl_command *command);

/* What went wrong, with errno in words or the CK_RV. */
void ctl_error_text(err_t err, char *ret_text, size_t size);
/*
 * An error with an empty `what` was told already. Says "p11-kmsctl: what" (and errno in words, or
 * the CK_RV) on err; returns the fitting exit code.
 */
int ctl_failed(const struct ctl *ctl, err_t err);

#endif
