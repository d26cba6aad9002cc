/* Parses an envelope, writes what was read again (the same bytes), and opens it with fixed keys. */
#include "keys/envelope.h"

#include <stdlib.h>

#include "keys/seal.h"
#include "tests/fuzz/fuzz.h"

static struct seal *fixed_seal(void)
{
    static struct seal *seal;
    if (seal == NULL && (failed(secret_init(&secret_budget_ctl)) || failed(seal_new(&seal)))) {
        abort();
    }
    return seal;
}

/* One meaning, one spelling: an envelope that parses has exactly these bytes. */
static void write_again(const struct envelope *e, struct span bytes)
{
    uint8_t again[ENVELOPE_MAX];
    struct writer w = writer_of(span_mut_of(again, sizeof(again)));
    envelope_write_head(&w, &e->head, e->wrapped);
    writer_bytes(&w, e->salt);
    writer_bytes(&w, e->commitment);
    writer_bytes(&w, e->iv);
    writer_bytes(&w, e->ciphertext);
    writer_bytes(&w, e->tag);
    if (w.bad || !span_equal(writer_done(&w), bytes)) {
        abort();
    }
}

static void open_it(const struct envelope *e)
{
    static const uint8_t seed[SEED_LEN] = {1, 2, 3};
    uint8_t derived[SEAL_DERIVED_LEN];
    uint8_t out[ENVELOPE_PLAIN_MAX];
    size_t len = 0;
    struct seal *seal = fixed_seal();
    err_t err =
        seal_derive(seal, e, span_of(seed, sizeof(seed)), span_mut_of(derived, sizeof(derived)));
    if (failed(err)) {
        return;
    }
    /* The right commitment, so that the tag decides. */
    struct envelope committed = *e;
    committed.commitment = span_of(derived + 32, ENVELOPE_COMMIT);
    err = seal_open(seal, &committed, span_of(derived, sizeof(derived)),
                    span_mut_of(out, sizeof(out)), &len);
    if (err.code != E_CRYPTO && (failed(err) || len != e->ciphertext.len)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct envelope e;
    struct span bytes = span_of(data, size);
    if (!failed(envelope_parse(bytes, &e))) {
        write_again(&e, bytes);
        open_it(&e);
    }
    return 0;
}
