#include "keys/seal.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "keys/kdf.h"

#define RANDOM_LEN 32u
#define KEY_LEN    32u
#define POOL_LEN   2040u

_Static_assert(SEAL_DERIVED_LEN == KDF_OUT, "encryption key and commitment");

/*
 * Lies in the arena. `left` does too: the arena is wiped in a forked child, which then finds an
 * empty pool, not a full one of zeros.
 */
struct pool {
    size_t left;
    uint8_t bytes[POOL_LEN];
};

struct work {
    uint8_t derived[KDF_OUT];
    uint8_t random[RANDOM_LEN];
};

struct seal {
    struct kdf kdf;
    EVP_MD *sha256;
    EVP_MD_CTX *hash;
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *gcm;
    struct secret *pool_room;
    struct secret *work_room;
    struct pool *pool; /* in pool_room */
    struct work *work; /* in work_room */
};

static err_t no_memory(void)
{
    return FAIL(E_LIMIT, "libcrypto cannot seal or hash");
}

static err_t mismatch(void)
{
    return FAIL(E_CRYPTO, "the envelope does not open");
}

static err_t fetch_all(struct seal *seal)
{
    TRY(kdf_init(&seal->kdf));
    seal->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    seal->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    seal->hash = EVP_MD_CTX_new();
    seal->gcm = EVP_CIPHER_CTX_new();
    if (seal->sha256 == NULL || seal->cipher == NULL || seal->hash == NULL || seal->gcm == NULL ||
        EVP_DigestInit_ex2(seal->hash, seal->sha256, NULL) != 1 ||
        EVP_CipherInit_ex2(seal->gcm, seal->cipher, NULL, NULL, 1, NULL) != 1) {
        return no_memory();
    }
    return OK;
}

/* SHA-256(a ‖ b). */
static err_t hash_pair(struct seal *seal, struct span a, struct span b, uint8_t *out)
{
    if (EVP_DigestInit_ex2(seal->hash, NULL, NULL) != 1 ||
        EVP_DigestUpdate(seal->hash, a.ptr, a.len) != 1 ||
        EVP_DigestUpdate(seal->hash, b.ptr, b.len) != 1 ||
        EVP_DigestFinal_ex(seal->hash, out, NULL) != 1) {
        return no_memory();
    }
    return OK;
}

/* The fast derivation must equal libcrypto's own, for a seed and a context that nobody uses. */
static err_t check_derivation(struct seal *seal)
{
    uint8_t context[KDF_CONTEXT];
    TRY(seal_random(seal, span_mut_of(context, sizeof(context))));
    TRY(seal_random(seal, span_mut_of(seal->work->random, RANDOM_LEN)));
    CLEANUP(secret_free_p) struct secret *slow = NULL;
    TRY(secret_new(SECRET_2KIB, KDF_OUT, &slow));
    struct span seed = span_of(seal->work->random, RANDOM_LEN);
    TRY(kdf_derive(&seal->kdf, seed, context, seal->work->derived));
    TRY(kdf_derive_slow(seed, context, secret_room(slow).ptr));
    bool equal = secret_equal(span_of(seal->work->derived, KDF_OUT),
                              span_of(secret_room(slow).ptr, KDF_OUT));
    secret_wipe(seal->work, sizeof(*seal->work));
    return equal ? OK : FAIL(E_BUG, "the fast derivation is not KBKDF");
}

err_t seal_new(struct seal **ret_seal)
{
    CLEANUP(seal_free_p) struct seal *seal = calloc(1, sizeof(*seal));
    if (seal == NULL) {
        return FAIL_ERRNO("out of memory");
    }
    TRY(secret_new(SECRET_2KIB, sizeof(struct pool), &seal->pool_room));
    TRY(secret_new(SECRET_2KIB, sizeof(struct work), &seal->work_room));
    seal->pool = (struct pool *)(void *)secret_room(seal->pool_room).ptr;
    seal->work = (struct work *)(void *)secret_room(seal->work_room).ptr;
    TRY(fetch_all(seal));
    TRY(check_derivation(seal));
    *ret_seal = TAKE(seal);
    return OK;
}

void seal_free(struct seal *seal)
{
    if (seal == NULL) {
        return;
    }
    EVP_CIPHER_CTX_free(seal->gcm);
    EVP_MD_CTX_free(seal->hash);
    EVP_CIPHER_free(seal->cipher);
    EVP_MD_free(seal->sha256);
    kdf_done(&seal->kdf);
    secret_free(seal->pool_room);
    secret_free(seal->work_room);
    free(seal);
}

err_t seal_random(struct seal *seal, struct span_mut out)
{
    struct pool *pool = seal->pool;
    size_t done = 0;
    while (done < out.len) {
        if (pool->left == 0) {
            if (RAND_priv_bytes(pool->bytes, (int)sizeof(pool->bytes)) != 1) {
                return FAIL(E_SYSTEM, "no random bytes");
            }
            pool->left = sizeof(pool->bytes);
        }
        size_t n = out.len - done < pool->left ? out.len - done : pool->left;
        uint8_t *from = pool->bytes + pool->left - n;
        span_move(out.ptr + done, from, n);
        secret_wipe(from, n);
        pool->left -= n;
        done += n;
    }
    return OK;
}

err_t seal_derive(struct seal *seal, const struct envelope *envelope, struct span seed,
                  struct span_mut out)
{
    if (envelope->head.suite != ENVELOPE_SEED) {
        return mismatch();
    }
    if (seed.len != SEED_LEN || out.len < KDF_OUT) {
        return FAIL(E_BUG, "a derivation needs 32 bytes of seed and room for 64");
    }
    uint8_t context[KDF_CONTEXT];
    TRY(hash_pair(seal, envelope->before_salt, (struct span){0}, context));
    span_move(context + KDF_HASH, envelope->salt.ptr, ENVELOPE_SALT);
    return kdf_derive(&seal->kdf, seed, context, out.ptr);
}

/* AES-256-GCM over `in` into out (as long), up to the tag. */
static err_t run_gcm(struct seal *seal, const struct envelope *e, const uint8_t *key,
                     struct span in, struct span_mut out, int encrypt)
{
    int n = 0;
    if (EVP_CipherInit_ex2(seal->gcm, NULL, key, e->iv.ptr, encrypt, NULL) != 1 ||
        EVP_CipherUpdate(seal->gcm, NULL, &n, e->before_iv.ptr, (int)e->before_iv.len) != 1 ||
        EVP_CipherUpdate(seal->gcm, out.ptr, &n, in.ptr, (int)in.len) != 1) {
        return no_memory();
    }
    return OK;
}

/* Lays the envelope out, all but the sealed parts, and reads it back as whoever opens it will. */
static err_t lay_out(const struct seal_seed *seed, uint8_t api, size_t n, struct span_mut out,
                     struct envelope *ret_envelope)
{
    struct envelope_head head = *seed->head;
    head.api = api;
    struct writer w = writer_of(out);
    envelope_write_head(&w, &head, seed->wrapped);
    (void)writer_room(&w, ENVELOPE_SALT + ENVELOPE_COMMIT + ENVELOPE_IV + n + ENVELOPE_TAG);
    if (w.bad || w.len > ENVELOPE_MAX) {
        return FAIL(E_LIMIT, "the envelope does not fit");
    }
    return envelope_parse(writer_done(&w), ret_envelope);
}

/* The place of a parsed field in the room that it was parsed from. */
static uint8_t *place(struct span_mut out, struct span field)
{
    return out.ptr + (field.ptr - out.ptr);
}

static err_t seal_parts(struct seal *seal, struct span seed, const struct envelope *e,
                        struct span plaintext, struct span_mut out)
{
    struct work *work = seal->work;
    TRY(seal_random(seal, span_mut_of(work->random, RANDOM_LEN)));
    TRY(kdf_salt(&seal->kdf, seed, span_of(work->random, RANDOM_LEN), plaintext,
                 place(out, e->salt)));
    TRY(seal_derive(seal, e, seed, span_mut_of(work->derived, KDF_OUT)));
    span_move(place(out, e->commitment), work->derived + KEY_LEN, ENVELOPE_COMMIT);
    TRY(seal_random(seal, span_mut_of(place(out, e->iv), ENVELOPE_IV)));
    int n = 0;
    uint8_t *tag = place(out, e->tag);
    TRY(run_gcm(seal, e, work->derived, plaintext,
                span_mut_of(place(out, e->ciphertext), plaintext.len), 1));
    if (EVP_CipherFinal_ex(seal->gcm, tag, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(seal->gcm, EVP_CTRL_AEAD_GET_TAG, ENVELOPE_TAG, tag) != 1) {
        return no_memory();
    }
    return OK;
}

err_t seal_make(struct seal *seal, const struct seal_seed *seed, uint8_t api, struct span plaintext,
                struct span_mut out, size_t *ret_len)
{
    if (plaintext.len < 1 || plaintext.len > ENVELOPE_PLAIN_MAX) {
        return FAIL(E_INVALID, "a plaintext has 1 to 512 bytes");
    }
    if (seed->head->suite != ENVELOPE_SEED) {
        return FAIL(E_INVALID, "only suite 1 seals under a seed");
    }
    struct envelope e;
    TRY(lay_out(seed, api, plaintext.len, out, &e));
    err_t err = seal_parts(seal, seed->seed, &e, plaintext, out);
    secret_wipe(seal->work, sizeof(*seal->work));
    TRY(err);
    *ret_len = e.before_iv.len + ENVELOPE_IV + plaintext.len + ENVELOPE_TAG;
    return OK;
}

static err_t open_parts(struct seal *seal, const struct envelope *e, const uint8_t *key,
                        struct span_mut out)
{
    uint8_t tag[ENVELOPE_TAG];
    int rest = 0;
    span_move(tag, e->tag.ptr, sizeof(tag));
    TRY(run_gcm(seal, e, key, e->ciphertext, out, 0));
    if (EVP_CIPHER_CTX_ctrl(seal->gcm, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1 ||
        EVP_CipherFinal_ex(seal->gcm, tag, &rest) != 1) {
        return mismatch();
    }
    return OK;
}

bool seal_commits(const struct envelope *envelope, struct span derived)
{
    struct span commitment = span_part(derived, KEY_LEN, ENVELOPE_COMMIT);
    return envelope->head.suite == ENVELOPE_SEED && derived.len == KDF_OUT &&
           secret_equal(commitment, envelope->commitment);
}

err_t seal_open(struct seal *seal, const struct envelope *envelope, struct span derived,
                struct span_mut out, size_t *ret_len)
{
    size_t n = envelope->ciphertext.len;
    secret_wipe(out.ptr, out.len);
    if (!seal_commits(envelope, derived)) {
        return mismatch();
    }
    if (n > out.len) {
        return FAIL(E_LIMIT, "no room for the plaintext");
    }
    err_t err = open_parts(seal, envelope, derived.ptr, span_mut_of(out.ptr, n));
    if (failed(err)) {
        secret_wipe(out.ptr, n); /* GCM writes before it knows the tag */
        return err;
    }
    *ret_len = n;
    return OK;
}

err_t seal_seed_key(struct seal *seal, const struct envelope_head *head, struct span wrapped,
                    uint8_t ret_key[32])
{
    uint8_t aad[ENVELOPE_WRAP_AAD];
    uint8_t key[KDF_HASH];
    envelope_wrap_aad(head, aad);
    TRY(hash_pair(seal, span_of(aad, sizeof(aad)), wrapped, key));
    span_move(ret_key, key, sizeof(key));
    return OK;
}
