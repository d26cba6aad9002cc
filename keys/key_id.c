#include "keys/key_id.h"

#include <openssl/evp.h>

#define PREFIX      "p11-kms/1/"
#define HASH_PREFIX "sha256:"
#define HASH_LEN    32u
#define HASHED_MAX  600u
#define KEPT        16u

_Static_assert(sizeof(PREFIX) - 1 + 2 * KEK_ID_LEN + 1 + 8 == KEY_ID_TEXT_LEN,
               "length of a key_id");
_Static_assert(sizeof(HASH_PREFIX) - 1 + 2 * HASH_LEN == KEY_ID_HASH_LEN,
               "length of its hash in text");
_Static_assert(KEPT == KEK_ID_LEN && KEPT == ENVELOPE_REALM, "both are the front of a hash");

/* The first 16 bytes of SHA-256 over what was written. */
static err_t hash_front(const struct writer *w, uint8_t *ret_front)
{
    uint8_t hash[HASH_LEN];
    struct span bytes = writer_done(w);
    if (w->bad) {
        return FAIL(E_INVALID, "too long for a name of a KEK");
    }
    if (EVP_Q_digest(NULL, "SHA256", NULL, bytes.ptr, bytes.len, hash, NULL) != 1) {
        return FAIL(E_LIMIT, "libcrypto cannot hash");
    }
    span_move(ret_front, hash, KEPT);
    return OK;
}

err_t key_id_realm(const char *ring, uint8_t ret_realm[ENVELOPE_REALM])
{
    uint8_t bytes[HASHED_MAX];
    struct writer w = writer_of(span_mut_of(bytes, sizeof(bytes)));
    writer_bytes(&w, span_of_text("p11-kms realm v1"));
    writer_bytes(&w, span_of_text(ring));
    return hash_front(&w, ret_realm);
}

err_t key_id_kek(uint8_t scheme, struct span cka_id, struct span fingerprint,
                 uint8_t ret_kek_id[KEK_ID_LEN])
{
    if (cka_id.len < 1 || cka_id.len > UINT8_MAX) {
        return FAIL(E_INVALID, "a CKA_ID must have 1 to 255 bytes");
    }
    uint8_t bytes[HASHED_MAX];
    struct writer w = writer_of(span_mut_of(bytes, sizeof(bytes)));
    writer_bytes(&w, span_of_text("p11-kms kek-id v1"));
    writer_u8(&w, scheme);
    writer_u8(&w, (uint8_t)cka_id.len);
    writer_bytes(&w, cka_id);
    writer_bytes(&w, fingerprint);
    return hash_front(&w, ret_kek_id);
}

err_t key_id_hash(struct span key_id, char ret_text[KEY_ID_HASH_LEN + 1])
{
    uint8_t hash[HASH_LEN];
    if (EVP_Q_digest(NULL, "SHA256", NULL, key_id.ptr, key_id.len, hash, NULL) != 1) {
        return FAIL(E_LIMIT, "libcrypto cannot hash");
    }
    span_move(ret_text, HASH_PREFIX, sizeof(HASH_PREFIX) - 1);
    key_id_hex(span_of(hash, sizeof(hash)), ret_text + sizeof(HASH_PREFIX) - 1);
    return OK;
}

void key_id_hex(struct span bytes, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        ret_text[2 * i] = digits[bytes.ptr[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes.ptr[i] & 15];
    }
    ret_text[2 * bytes.len] = '\0';
}

void key_id_text(const uint8_t kek_id[KEK_ID_LEN], uint32_t activation,
                 char ret_text[KEY_ID_TEXT_LEN + 1])
{
    const uint8_t time[] = {(uint8_t)(activation >> 24), (uint8_t)(activation >> 16),
                            (uint8_t)(activation >> 8), (uint8_t)activation};
    char *at = ret_text;
    span_move(at, PREFIX, sizeof(PREFIX) - 1);
    at += sizeof(PREFIX) - 1;
    key_id_hex(span_of(kek_id, KEK_ID_LEN), at);
    at += 2 * KEK_ID_LEN;
    *at++ = '/';
    key_id_hex(span_of(time, sizeof(time)), at);
}

bool key_id_matches(struct span text, const uint8_t kek_id[KEK_ID_LEN], uint32_t activation)
{
    char ours[KEY_ID_TEXT_LEN + 1];
    key_id_text(kek_id, activation, ours);
    return span_equal(text, span_of(ours, KEY_ID_TEXT_LEN));
}

/* One lower-case hex digit. */
static uint8_t read_digit(struct cursor *c)
{
    uint8_t digit = cursor_u8(c);
    if (digit >= '0' && digit <= '9') {
        return (uint8_t)(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return (uint8_t)(digit - 'a' + 10);
    }
    c->bad = true;
    return 0;
}

static uint8_t read_byte(struct cursor *c)
{
    uint8_t high = read_digit(c);
    return (uint8_t)(high << 4 | read_digit(c));
}

err_t key_id_parse(struct span text, uint8_t ret_kek_id[KEK_ID_LEN], uint32_t *ret_activation)
{
    uint8_t kek_id[KEK_ID_LEN];
    struct cursor c = cursor_of(text);
    bool ours = span_equal(cursor_bytes(&c, sizeof(PREFIX) - 1), span_of_text(PREFIX));
    for (size_t i = 0; i < KEK_ID_LEN; i++) {
        kek_id[i] = read_byte(&c);
    }
    ours = ours && cursor_u8(&c) == '/';
    uint32_t activation = 0;
    for (size_t i = 0; i < sizeof(activation); i++) {
        activation = activation << 8 | read_byte(&c);
    }
    if (!ours || !cursor_at_end(&c)) {
        return FAIL(E_INVALID, "not a key_id of ours");
    }
    span_move(ret_kek_id, kek_id, sizeof(kek_id));
    *ret_activation = activation;
    return OK;
}
