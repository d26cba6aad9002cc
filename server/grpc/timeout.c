#include "server/grpc/timeout.h"

#define DIGITS_MAX 8u

/* The unit as so many milliseconds, or as a part of one: *ret_per_ms units make one. */
static bool unit_of(uint8_t letter, int64_t *ret_ms, int64_t *ret_per_ms)
{
    static const struct {
        uint8_t letter;
        int64_t ms;
        int64_t per_ms;
    } units[] = {
        {'H', 3600000, 1}, {'M', 60000, 1}, {'S', 1000, 1},
        {'m', 1, 1},       {'u', 1, 1000},  {'n', 1, 1000000},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].letter == letter) {
            *ret_ms = units[i].ms;
            *ret_per_ms = units[i].per_ms;
            return true;
        }
    }
    return false;
}

err_t grpc_timeout_parse(struct span value, int64_t *ret_ms)
{
    int64_t unit_ms = 0;
    int64_t per_ms = 0;
    if (value.len < 2 || value.len > DIGITS_MAX + 1 ||
        !unit_of(value.ptr[value.len - 1], &unit_ms, &per_ms)) {
        return FAIL(E_PROTOCOL, "malformed grpc-timeout");
    }
    int64_t count = 0; /* eight digits of hours stay far below the end of int64_t */
    for (size_t i = 0; i + 1 < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') {
            return FAIL(E_PROTOCOL, "malformed grpc-timeout");
        }
        count = count * 10 + (value.ptr[i] - '0');
    }
    *ret_ms = (count * unit_ms + per_ms - 1) / per_ms;
    return OK;
}
