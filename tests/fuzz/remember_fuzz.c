/*
 * The state file of remembered seeds: whatever is read is within bounds and writes back to the same
 * bytes; of version 1 to one of version 2, which reads the same.
 */
#include <stdlib.h>
#include <string.h>

#include "server/kms/remember.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t realm[ENVELOPE_REALM] = {'r', 'e', 'a', 'l', 'm'};

/* Reads `bytes` and writes them into room. Empty: they do not parse. */
static struct span rewrite(struct span bytes, uint8_t *room)
{
    static struct seed_name names[SEEDS_MAX];
    size_t n = 0;
    if (failed(remember_parse(bytes, realm, names, SEEDS_MAX, &n))) {
        return span_of(NULL, 0);
    }
    struct writer w = writer_of(span_mut_of(room, REMEMBER_MAX));
    remember_begin(&w, realm);
    for (size_t i = 0; i < n; i++) {
        remember_put(&w, &names[i]);
    }
    if (w.bad) {
        abort();
    }
    return writer_done(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[REMEMBER_MAX];
    static uint8_t again[REMEMBER_MAX];
    struct span written = rewrite(span_of(data, size), room);
    if (written.len == 0) {
        return 0;
    }
    bool old = data[4] == 1;
    if (!old && !span_equal(written, span_of(data, size))) {
        abort();
    }
    if (!span_equal(rewrite(written, again), written)) {
        abort();
    }
    return 0;
}
