/*
 * round_trip: Encrypt and Decrypt of 32 random bytes through the socket, for each version of the
 * API.
 */
#ifndef CTL_ROUND_TRIP_H
#define CTL_ROUND_TRIP_H

#include <stdbool.h>

#include "ctl/kms_client.h"
#include "ctl/output.h"

/* Appends a row for v2 and one for v1 to `rows`; true when both came back equal. */
bool round_trip(struct kms_client *client, json_t *rows);

#endif
