/*
 * The state file of remembered seeds: whatever is read is within bounds and writes back to the same
 * bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "server/kms/remember.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seed_name names[SEEDS_MAX];
    static uint8_t room[REMEMBER_MAX];
    static const uint8_t realm[ENVELOPE_REALM] = {'r', 'e', 'a', 'l', 'm'};
    size_t n = 0;
    if (failed(remember_parse(span_of(data, size), realm, names, SEEDS_MAX, &n))) {
        return 0;
    }
    struct writer w = writer_of(span_mut_of(room, sizeof(room)));
    remember_begin(&w, realm);
    for (size_t i = 0; i < n; i++) {
        remember_put(&w, &names[i]);
    }
    if (w.bad || w.len != size || memcmp(room, data, size) != 0) {
        abort();
    }
    return 0;
}
