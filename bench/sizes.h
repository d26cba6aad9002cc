/* sizes: bytes of a call on the wire, so that the floor moves as many as the daemon does. */
#ifndef BENCH_SIZES_H
#define BENCH_SIZES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BENCH_DEK     32u
#define BENCH_UID     "01234567-89ab-cdef-0123-456789abcdef"
#define BENCH_RAW_MAX 1024u

struct raw_size {
    const char *name;
    uint8_t op;
    size_t request; /* HEADERS and DATA of load.c */
    size_t reply;   /* HEADERS, DATA and trailers of the daemon */
};

static inline const struct raw_size *raw_size_of(const char *name)
{
    static const struct raw_size sizes[] = {
        {"raw-status", 's', 206, 96},
        {"raw-encrypt", 'e', 279, 326},
        {"raw-decrypt", 'd', 536, 69},
        {"raw-decrypt-known", 'k', 536, 69},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strcmp(sizes[i].name, name) == 0) {
            return &sizes[i];
        }
    }
    return NULL;
}

#endif
