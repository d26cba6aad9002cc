#include "server/supervisor/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

err_t problem_set(struct problem *problem, int exit_code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(problem->text, sizeof(problem->text), format, args);
    va_end(args);
    problem->exit_code = exit_code;
    return exit_code == EXIT_BUSY ? FAIL(E_STATE, "another instance is in the way")
                                  : FAIL(E_INVALID, "p11-kmsd cannot start");
}

err_t problem_from(struct problem *problem, int exit_code, const char *subject, err_t err)
{
    if (err.code == E_SYSTEM) {
        return problem_set(problem, exit_code, "%s: %s: %s", subject, err.what,
                           strerror((int)err.detail));
    }
    return problem_set(problem, exit_code, "%s: %s", subject, err.what);
}
