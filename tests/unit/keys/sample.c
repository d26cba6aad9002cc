#include "tests/unit/keys/sample.h"

#include <string.h>

err_t sample_init(struct sample *sample, uint8_t iv_len)
{
    static const uint8_t iv[16] = {9, 8, 7};
    uint8_t aad[ENVELOPE_WRAP_AAD];
    *sample = (struct sample){.head = {.suite = ENVELOPE_SEED,
                                       .scheme = ENVELOPE_AES_GCM,
                                       .api = ENVELOPE_V2,
                                       .activation = 1700000000,
                                       .born = 1700001234}};
    memset(sample->kek.value, 0x4b, sizeof(sample->kek.value));
    memset(sample->seed, 0x5e, sizeof(sample->seed));
    memset(sample->head.realm, 0x11, sizeof(sample->head.realm));
    memset(sample->head.kek_id, 0x22, sizeof(sample->head.kek_id));
    struct writer w = writer_of(span_mut_of(sample->wrapped, sizeof(sample->wrapped)));
    envelope_wrap_aad(&sample->head, aad);
    TRY(soft_kek_wrap(&sample->kek, span_of(aad, sizeof(aad)), span_of(iv, iv_len),
                      span_of(sample->seed, SEED_LEN), &w));
    sample->wrapped_len = w.len;
    return OK;
}

struct seal_seed sample_seed(const struct sample *sample)
{
    return (struct seal_seed){&sample->head, span_of(sample->wrapped, sample->wrapped_len),
                              span_of(sample->seed, SEED_LEN)};
}
