/*
 * listing_cases: what a token may list, and what it is to ring "prod". Whoever judges a listing is
 * held to this table: what the daemon does is what p11-kmsctl shows.
 */
#ifndef TESTS_UNIT_TOKEN_LISTING_CASES_H
#define TESTS_UNIT_TOKEN_LISTING_CASES_H

#include "base/config.h"
#include "token/listing.h"

#define LISTING_CASE_NOT_BEFORE 0x20u
#define LISTING_CASE_CREATED    0x10u

struct listing_case {
    const char *name;
    struct ipc_key key;
    bool waive; /* the configuration waives its kek_id */
    enum listing_place place;
    enum ring_verdict verdict; /* in the ring */
    bool has_id;
    bool waived;
    const char *faults;
};

extern const struct listing_case listing_cases[];
extern const size_t listing_cases_n;

/* The configuration that a case is judged by. */
struct config listing_case_config(const struct listing_case *row);

#endif
