/* time_text: times as people write and read them. UTC only: nodes must not disagree about a T. */
#ifndef CTL_TIME_TEXT_H
#define CTL_TIME_TEXT_H

#include <stdint.h>

#include "base/err.h"

#define TIME_TEXT_LEN 24u

/* Unix seconds, or RFC 3339 in UTC: "2026-11-24T15:00:00Z" (also "+00:00"). E_INVALID otherwise. */
MUST_USE err_t time_text_parse(const char *text, int64_t *ret_s);
/* "2026-11-24T15:00:00Z"; "-" for 0. */
void time_text_write(int64_t s, char ret_text[TIME_TEXT_LEN]);
/* "12s", "5m", "3h", "41d": the largest whole unit; with a '-' ahead for times to come. */
void time_text_age(int64_t s, char ret_text[TIME_TEXT_LEN]);

#endif
