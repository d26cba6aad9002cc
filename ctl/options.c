#include "ctl/options.h"

#include <string.h>

/* The value after "name=", or NULL when arg is another option. */
static const char *inline_value(const char *arg, const char *name)
{
    size_t len = strlen(name);
    return strncmp(arg, name, len) == 0 && arg[len] == '=' ? arg + len + 1 : NULL;
}

enum match { NO_MATCH, MATCH, MATCH_BROKEN };

/* Tries one flag at argv[*at]; moves *at to the last argument used. */
static enum match try_flag(const struct option_flag *flag, int argc, char **argv, int *at)
{
    const char *value = inline_value(argv[*at], flag->name);
    bool plain = strcmp(argv[*at], flag->name) == 0;
    if (!plain && value == NULL) {
        return NO_MATCH;
    }
    if (flag->value == NULL && value != NULL) {
        return MATCH_BROKEN; /* a value for a flag that takes none */
    }
    if (flag->value != NULL && value == NULL) {
        if (*at + 1 >= argc) {
            return MATCH_BROKEN;
        }
        value = argv[++*at];
    }
    if (flag->value != NULL) {
        *flag->value = value;
    }
    if (flag->set != NULL) {
        *flag->set = true;
    }
    return MATCH;
}

static enum match try_flags(const struct option_flag *flags, size_t n, int argc, char **argv,
                            int *at)
{
    enum match match = NO_MATCH;
    for (size_t i = 0; i < n && match == NO_MATCH; i++) {
        match = try_flag(&flags[i], argc, argv, at);
    }
    return match;
}

err_t options_global(int argc, char **argv, struct options *ret_options, int *ret_rest_n,
                     const char **ret_bad)
{
    struct options options = {.config_path = CONFIG_DEFAULT_PATH, .output = "table"};
    const struct option_flag flags[] = {
        {"--config", NULL, &options.config_path}, {"--output", NULL, &options.output},
        {"--help", &options.help, NULL},          {"-h", &options.help, NULL},
        {"--version", &options.version, NULL},
    };
    int rest = 0;
    bool open = true; /* until "--" */
    for (int at = 1; at < argc; at++) {
        int first = at;
        open = open && strcmp(argv[at], "--") != 0;
        enum match match =
            open ? try_flags(flags, sizeof(flags) / sizeof(flags[0]), argc, argv, &at) : NO_MATCH;
        if (match == MATCH_BROKEN) {
            *ret_bad = argv[first];
            return FAIL(E_INVALID, "an option is used wrongly");
        }
        if (match == NO_MATCH && options.command == NULL && argv[at][0] != '-') {
            options.command = argv[at];
        } else if (match == NO_MATCH) {
            argv[rest++] = argv[at];
        }
    }
    *ret_options = options;
    *ret_rest_n = rest;
    return OK;
}

static bool usage(const struct ctl *ctl, const char *what, const char *arg)
{
    (void)fprintf(ctl->err, "p11-kmsctl: %s: %s\n", what, arg);
    return false;
}

bool options_command(const struct ctl *ctl, const struct option_flag *flags, size_t n,
                     const char **ret_operand)
{
    const char *operand = NULL;
    bool open = true;
    for (int at = 0; at < ctl->args_n; at++) {
        const char *arg = ctl->args[at];
        if (open && strcmp(arg, "--") == 0) {
            open = false;
            continue;
        }
        bool dashed = open && arg[0] == '-' && arg[1] != '\0';
        enum match match = dashed ? try_flags(flags, n, ctl->args_n, ctl->args, &at) : NO_MATCH;
        if (match == MATCH_BROKEN || (match == NO_MATCH && dashed)) {
            return usage(ctl, match == NO_MATCH ? "unknown option" : "option used wrongly", arg);
        }
        if (match == NO_MATCH && (operand != NULL || ret_operand == NULL)) {
            return usage(ctl, "unexpected argument", arg);
        }
        if (match == NO_MATCH) {
            operand = arg;
        }
    }
    if (ret_operand != NULL) {
        *ret_operand = operand;
    }
    return true;
}

bool options_output(const char *text, enum ctl_output *ret_output)
{
    bool json = strcmp(text, "json") == 0;
    if (!json && strcmp(text, "table") != 0) {
        return false;
    }
    *ret_output = json ? CTL_JSON : CTL_TABLE;
    return true;
}
