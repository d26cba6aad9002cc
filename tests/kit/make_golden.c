/*
 * make_golden: writes the golden envelopes of format version 1 into a folder. Ran once for each
 * version of the format; the files it wrote are frozen, since what they stand for lies in the etcd
 * of clusters. Salts and IVs are random, so a second run writes other files of the same meaning.
 */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "keys/key_id.h"
#include "keys/seal.h"
#include "tests/kit/soft_kek.h"

#define RING "golden"

struct sample {
    uint8_t suite;
    uint8_t api;
    uint8_t iv_len;
    size_t plain;
};

static const struct sample samples[] = {
    {1, 1, 12, 1},   {1, 1, 12, 4},   {1, 1, 12, 32},  {1, 1, 12, 512}, {1, 1, 16, 1},
    {1, 1, 16, 4},   {1, 1, 16, 32},  {1, 1, 16, 512}, {1, 2, 12, 1},   {1, 2, 12, 4},
    {1, 2, 12, 32},  {1, 2, 12, 512}, {1, 2, 16, 1},   {1, 2, 16, 4},   {1, 2, 16, 32},
    {1, 2, 16, 512}, {2, 1, 12, 1},   {2, 1, 16, 32},  {2, 2, 12, 32},  {2, 2, 16, 4},
    {2, 2, 12, 512}, {2, 2, 16, 512},
};

struct golden {
    struct soft_kek kek;
    uint8_t cka_id[16];
    uint8_t fingerprint[16];
    struct envelope_head head;
    uint8_t plain[ENVELOPE_PLAIN_MAX];
    uint8_t envelope[ENVELOPE_MAX];
    size_t len;
};

static void count_up(uint8_t *bytes, size_t n, size_t from)
{
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(from + i);
    }
}

static err_t name_kek(const struct sample *sample, struct golden *g)
{
    count_up(g->kek.value, sizeof(g->kek.value), 0x40);
    count_up(g->cka_id, sizeof(g->cka_id), 0xc0);
    count_up(g->plain, sizeof(g->plain), 1);
    TRY(soft_kek_fingerprint(&g->kek, g->fingerprint));
    g->head = (struct envelope_head){.suite = sample->suite,
                                     .scheme = ENVELOPE_AES_GCM,
                                     .api = sample->api,
                                     .activation = 0x6923b2d4,
                                     .born = sample->suite == ENVELOPE_SEED ? 0x69247a3b : 0};
    TRY(key_id_realm(RING, g->head.realm));
    return key_id_kek(ENVELOPE_AES_GCM, span_of(g->cka_id, sizeof(g->cka_id)),
                      span_of(g->fingerprint, sizeof(g->fingerprint)), g->head.kek_id);
}

static err_t wrap(const struct sample *sample, const struct golden *g, struct span inner,
                  struct writer *w)
{
    uint8_t aad[ENVELOPE_WRAP_AAD];
    uint8_t iv[16];
    count_up(iv, sizeof(iv), 0x80 + sample->plain);
    envelope_wrap_aad(&g->head, aad);
    return soft_kek_wrap(&g->kek, span_of(aad, sizeof(aad)), span_of(iv, sample->iv_len), inner, w);
}

static err_t fill(struct seal *seal, const struct sample *sample, struct golden *g)
{
    uint8_t seed[SEED_LEN];
    uint8_t inner[ENVELOPE_WRAPPED_MAX];
    uint8_t bytes[ENVELOPE_WRAPPED_MAX];
    struct writer wrapped = writer_of(span_mut_of(bytes, sizeof(bytes)));
    struct span plain = span_of(g->plain, sample->plain);
    count_up(seed, sizeof(seed), 0x20);
    if (sample->suite == ENVELOPE_SEED) {
        TRY(wrap(sample, g, span_of(seed, sizeof(seed)), &wrapped));
        const struct seal_seed seal_seed = {&g->head, writer_done(&wrapped),
                                            span_of(seed, sizeof(seed))};
        return seal_make(seal, &seal_seed, sample->api, plain,
                         span_mut_of(g->envelope, sizeof(g->envelope)), &g->len);
    }
    struct writer direct = writer_of(span_mut_of(inner, sizeof(inner)));
    TRY(soft_kek_direct_write(&g->head, plain, &direct));
    TRY(wrap(sample, g, writer_done(&direct), &wrapped));
    struct writer w = writer_of(span_mut_of(g->envelope, sizeof(g->envelope)));
    envelope_write_head(&w, &g->head, writer_done(&wrapped));
    g->len = w.len;
    return OK;
}

static void print_hex(FILE *file, const char *name, struct span bytes)
{
    char text[2 * ENVELOPE_MAX + 1];
    key_id_hex(bytes, text);
    (void)fprintf(file, "%s %s\n", name, text);
}

static err_t print(const char *folder, const struct sample *sample, const struct golden *g)
{
    char path[512];
    char key_id[KEY_ID_TEXT_LEN + 1];
    (void)snprintf(path, sizeof(path), "%s/v1-suite%u-api%u-iv%u-%zu.txt", folder, sample->suite,
                   sample->api, sample->iv_len, sample->plain);
    OWN_FILE *file = fopen(path, "w");
    if (file == NULL) {
        return FAIL_ERRNO("cannot write a golden file");
    }
    key_id_text(g->head.kek_id, g->head.activation, key_id);
    print_hex(file, "test-kek", span_of(g->kek.value, sizeof(g->kek.value)));
    (void)fprintf(file, "ring %s\n", RING);
    print_hex(file, "cka-id", span_of(g->cka_id, sizeof(g->cka_id)));
    print_hex(file, "fingerprint", span_of(g->fingerprint, sizeof(g->fingerprint)));
    print_hex(file, "kek-id", span_of(g->head.kek_id, KEK_ID_LEN));
    (void)fprintf(file, "key-id %s\n", key_id);
    print_hex(file, "plaintext", span_of(g->plain, sample->plain));
    print_hex(file, "envelope", span_of(g->envelope, g->len));
    return OK;
}

static err_t make_all(const char *folder)
{
    TRY(secret_init(&secret_budget_ctl));
    CLEANUP(seal_free_p) struct seal *seal = NULL;
    TRY(seal_new(&seal));
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct golden golden = {0};
        TRY(name_kek(&samples[i], &golden));
        TRY(fill(seal, &samples[i], &golden));
        TRY(print(folder, &samples[i], &golden));
    }
    return OK;
}

int main(int argc, char **argv)
{
    err_t err = argc == 2 ? make_all(argv[1]) : FAIL(E_INVALID, "usage: make_golden FOLDER");
    if (failed(err)) {
        (void)fprintf(stderr, "make_golden: %s\n", err.what);
        return 1;
    }
    return 0;
}
