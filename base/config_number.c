#include "base/config_number.h"

#include <string.h>

bool config_number_read(struct span text, uint64_t *ret_number)
{
    if (text.len == 0 || text.len > 10 || (text.ptr[0] == '0' && text.len > 1)) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (number > UINT32_MAX) {
        return false;
    }
    *ret_number = number;
    return true;
}

static uint64_t unit_seconds(uint8_t unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

bool config_duration_read(struct span text, uint64_t *ret_seconds)
{
    uint64_t number = 0;
    if (text.len < 2 || !config_number_read(span_part(text, 0, text.len - 1), &number)) {
        return false;
    }
    uint64_t unit = unit_seconds(text.ptr[text.len - 1]);
    if (unit == 0 || number > UINT32_MAX / unit) {
        return false;
    }
    *ret_seconds = number * unit;
    return true;
}

bool config_range_holds(const char *range, bool duration, uint64_t value)
{
    const char *dots = strstr(range, "..");
    struct span low_text = span_of(range, dots == NULL ? strlen(range) : (size_t)(dots - range));
    struct span high_text = dots == NULL ? low_text : span_of_text(dots + 2);
    bool (*const read)(struct span, uint64_t *) =
        duration ? config_duration_read : config_number_read;
    uint64_t low = 0;
    uint64_t high = 0;
    return read(low_text, &low) && read(high_text, &high) && low <= value && value <= high;
}
