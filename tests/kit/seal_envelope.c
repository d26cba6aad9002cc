/*
 * seal_envelope: `seal_envelope RING CKA_ID FINGERPRINT API SEED PLAINTEXT` (hex) prints a wrap
 * AAD; with WRAPPED as a seventh argument it prints an envelope of suite 1. For the test that the
 * second decryptor opens what this code seals under a KEK on a token: that test wraps in between,
 * by its own PKCS#11 calls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/key_id.h"
#include "keys/seal.h"

struct hex {
    uint8_t bytes[ENVELOPE_WRAPPED_MAX];
    size_t len;
};

static struct hex read_hex(const char *text)
{
    struct hex hex = {0};
    hex.len = strlen(text) / 2;
    if (hex.len > sizeof(hex.bytes)) {
        exit(2);
    }
    for (size_t i = 0; i < hex.len; i++) {
        char pair[] = {text[2 * i], text[2 * i + 1], '\0'};
        hex.bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return hex;
}

static struct span view(const struct hex *hex)
{
    return span_of(hex->bytes, hex->len);
}

static void print_hex(struct span bytes)
{
    char text[2 * ENVELOPE_MAX + 1];
    key_id_hex(bytes, text);
    (void)puts(text);
}

static err_t print_envelope(const struct envelope_head *head, char **arguments)
{
    struct hex seed = read_hex(arguments[5]);
    struct hex plain = read_hex(arguments[6]);
    struct hex wrapped = read_hex(arguments[7]);
    const struct seal_seed seal_seed = {head, view(&wrapped), view(&seed)};
    uint8_t envelope[ENVELOPE_MAX];
    size_t len = 0;
    CLEANUP(seal_free_p) struct seal *seal = NULL;
    TRY(secret_init(&secret_budget_ctl));
    TRY(seal_new(&seal));
    TRY(seal_make(seal, &seal_seed, head->api, view(&plain),
                  span_mut_of(envelope, sizeof(envelope)), &len));
    print_hex(span_of(envelope, len));
    return OK;
}

static err_t run(int argc, char **argv)
{
    if (argc != 7 && argc != 8) {
        return FAIL(E_INVALID, "usage: RING CKA_ID FINGERPRINT API SEED PLAINTEXT [WRAPPED]");
    }
    struct hex id = read_hex(argv[2]);
    struct hex fingerprint = read_hex(argv[3]);
    struct envelope_head head = {.suite = ENVELOPE_SEED,
                                 .scheme = ENVELOPE_AES_GCM,
                                 .api = read_hex(argv[4]).bytes[0],
                                 .activation = 0x6923b2d4,
                                 .born = 0x69247a3b};
    TRY(key_id_realm(argv[1], head.realm));
    TRY(key_id_kek(head.scheme, view(&id), view(&fingerprint), head.kek_id));
    if (argc == 8) {
        return print_envelope(&head, argv);
    }
    uint8_t aad[ENVELOPE_WRAP_AAD];
    envelope_wrap_aad(&head, aad);
    print_hex(span_of(aad, sizeof(aad)));
    return OK;
}

int main(int argc, char **argv)
{
    err_t err = run(argc, argv);
    if (failed(err)) {
        (void)fprintf(stderr, "seal_envelope: %s\n", err.what);
        return 1;
    }
    return 0;
}
