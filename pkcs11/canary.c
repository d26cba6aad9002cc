#include "pkcs11/canary.h"

static const char aad_text[] = "p11-kms canary v1";
static const uint8_t text[16] = {0};

err_t canary_make(const struct session *session, const struct wrap_kek *kek,
                  struct canary *ret_canary)
{
    return kek->scheme->wrap(session, kek, span_of_text(aad_text), span_of(text, sizeof(text)),
                             span_mut_of(ret_canary->bytes, sizeof(ret_canary->bytes)),
                             &ret_canary->len);
}

err_t canary_open(const struct session *session, const struct wrap_kek *kek,
                  const struct canary *canary, bool flip)
{
    uint8_t aad[sizeof(aad_text) - 1];
    uint8_t out[sizeof(canary->bytes)];
    size_t len = 0;
    span_move(aad, aad_text, sizeof(aad));
    aad[0] ^= flip ? 1 : 0;
    TRY(kek->scheme->unwrap(session, kek, span_of(aad, sizeof(aad)),
                            span_of(canary->bytes, canary->len), span_mut_of(out, canary->len),
                            &len));
    if (!span_equal(span_of(out, len), span_of(text, sizeof(text)))) {
        return FAIL(E_CRYPTO, "the canary opened to something else");
    }
    return OK;
}
