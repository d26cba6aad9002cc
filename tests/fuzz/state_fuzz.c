/*
 * The two state records that more than one program reads: what parses is written and parsed again
 * alike.
 */
#include "base/state.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void try_current(struct span bytes)
{
    struct state_current first;
    struct state_current second;
    uint8_t room[512];
    size_t len = 0;
    if (failed(state_current_parse(bytes, &first))) {
        return;
    }
    check(!failed(state_current_write(&first, span_mut_of(room, sizeof(room)), &len)));
    check(!failed(state_current_parse(span_of(room, len), &second)));
    check(memcmp(first.kek_id, second.kek_id, sizeof(first.kek_id)) == 0);
    check(first.not_before == second.not_before && first.created == second.created);
}

static void try_health(struct span bytes)
{
    struct state_health first;
    struct state_health second;
    uint8_t room[2048];
    size_t len = 0;
    if (failed(state_health_parse(bytes, &first))) {
        return;
    }
    check(!failed(state_health_write(&first, span_mut_of(room, sizeof(room)), &len)));
    check(!failed(state_health_parse(span_of(room, len), &second)));
    check(strcmp(first.state, second.state) == 0 && strcmp(first.mend, second.mend) == 0);
    check(first.since_s == second.since_s && first.outage_s == second.outage_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_current(span_of(data, size));
    try_health(span_of(data, size));
    return 0;
}
