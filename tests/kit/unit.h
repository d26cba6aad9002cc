/* unit: cmocka in the include order it needs, for every C test. */
#ifndef TESTS_KIT_UNIT_H
#define TESTS_KIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#define assert_ok(call_)                                                                           \
    do {                                                                                           \
        err_t unit_err_ = (call_);                                                                 \
        if (failed(unit_err_)) {                                                                   \
            fail_msg("%s: %s (%lu) at %s", #call_, unit_err_.what, unit_err_.detail,               \
                     unit_err_.where);                                                             \
        }                                                                                          \
    } while (0)

#define assert_fails(call_, code_) assert_int_equal((call_).code, (code_))

#endif
