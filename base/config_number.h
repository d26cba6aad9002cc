/*
 * config_number: numbers, durations and ranges as a user writes them. Private to base/config*.c.
 */
#ifndef BASE_CONFIG_NUMBER_H
#define BASE_CONFIG_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/*
 * Decimal digits up to UINT32_MAX, no sign, no leading zero. False: not that; *ret_number
 * untouched.
 */
bool config_number_read(struct span text, uint64_t *ret_number);

/* A number followed by one of s, m, h, d; in seconds, up to UINT32_MAX. */
bool config_duration_read(struct span text, uint64_t *ret_seconds);

/* range is "LOW..HIGH" or "ONLY", both of the same form as the value. */
bool config_range_holds(const char *range, bool duration, uint64_t value);

#endif
