/*
 * problem: why p11-kmsd does not start, as a sentence for the operator and an exit code for the
 * service manager. 75 may be cured by waiting (another instance), 78 only by an operator, so the
 * unit does not restart it.
 */
#ifndef SERVER_SUPERVISOR_PROBLEM_H
#define SERVER_SUPERVISOR_PROBLEM_H

#include "base/err.h"

enum { EXIT_USAGE = 64, EXIT_BUSY = 75, EXIT_CONFIG = 78 };

struct problem {
    int exit_code;
    char text[768];
};

/* Fills it in and is itself an error to return: E_STATE for EXIT_BUSY, else E_INVALID. */
__attribute__((format(printf, 3, 4))) MUST_USE err_t problem_set(struct problem *problem,
                                                                 int exit_code, const char *format,
                                                                 ...);
/* The same from an error below, about `subject` (a path). */
MUST_USE err_t problem_from(struct problem *problem, int exit_code, const char *subject, err_t err);

#endif
