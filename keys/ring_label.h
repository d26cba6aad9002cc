/*
 * ring_label: how the label of a managed KEK is spelled, `p11k:<ring>:<not-before>:<created>`, both
 * times 8 lower-case hex digits of Unix seconds. Nobody else knows.
 */
#ifndef KEYS_RING_LABEL_H
#define KEYS_RING_LABEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define RING_NAME_MAX  9u
#define RING_LABEL_MAX 32u

enum ring_label_form {
    RING_LABEL_NONE,   /* names no ring: not ours */
    RING_LABEL_BROKEN, /* names a ring and does not read on as it must */
    RING_LABEL_WHOLE
};

struct ring_label {
    char ring[RING_NAME_MAX + 1]; /* "": none */
    uint32_t not_before;          /* 0 unless whole */
    uint32_t created;
};

/* 1..9 of [a-z0-9-]. */
bool ring_name_ok(const char *ring);
/* E_INVALID: no name of a ring. */
MUST_USE err_t ring_label_write(const char *ring, uint32_t not_before, uint32_t created,
                                char ret_label[RING_LABEL_MAX + 1]);
/* Of any ring; *ret_label is always filled in. */
enum ring_label_form ring_label_read(struct span text, struct ring_label *ret_label);
/* Begins like a label of ours, whatever follows. */
bool ring_label_ours(struct span text);

#endif
