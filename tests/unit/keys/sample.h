/* sample: one seed under a KEK in software, and envelopes of it, for the tests of keys/. */
#ifndef TESTS_UNIT_KEYS_SAMPLE_H
#define TESTS_UNIT_KEYS_SAMPLE_H

#include "keys/seal.h"
#include "tests/kit/soft_kek.h"

struct sample {
    struct soft_kek kek;
    struct envelope_head head;
    uint8_t seed[SEED_LEN];
    uint8_t wrapped[ENVELOPE_WRAPPED_MAX];
    size_t wrapped_len;
};

/* Fixed values; the seed is wrapped with an IV of iv_len bytes. */
MUST_USE err_t sample_init(struct sample *sample, uint8_t iv_len);
struct seal_seed sample_seed(const struct sample *sample);

#endif
