/* config_sample: the smallest config, for the tests of what reads one. */
#ifndef TESTS_UNIT_BASE_CONFIG_SAMPLE_H
#define TESTS_UNIT_BASE_CONFIG_SAMPLE_H

#include <string.h>

#include "base/config.h"
#include "tests/kit/unit.h"

#define HEAD "version: 1\nring: prod-eu\n"
#define TOKEN                                                                                      \
    "tokens:\n"                                                                                    \
    "  - module: /lib/m.so\n"                                                                      \
    "    token: \"pkcs11:token=t\"\n"                                                              \
    "    pin_file: /etc/pin\n"
#define ALL HEAD TOKEN /* six lines: what follows stands on line 7 */

/* What is said of a text that must be right. */
static inline struct config parsed(const char *text)
{
    struct config config;
    struct config_problem problem;
    err_t err = config_parse("c.yaml", text, strlen(text), &config, &problem);
    if (failed(err)) {
        fail_msg("%s (%s)", problem.text, err.what);
    }
    return config;
}

#endif
