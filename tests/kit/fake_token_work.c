#define _GNU_SOURCE
#include "tests/kit/fake_token_inside.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "keys/envelope.h"

#define IV_LEN  12u
#define TAG_LEN 16u

size_t fake_token_add_key(struct fake_token *token, const char *ring, uint32_t not_before,
                          uint32_t created)
{
    must(token->keys_n < FAKE_TOKEN_KEYS);
    struct fake_key *key = &token->keys[token->keys_n];
    *key = (struct fake_key){0};
    must(RAND_bytes(key->id, sizeof(key->id)) == 1);
    must(RAND_bytes(key->value, sizeof(key->value)) == 1);
    (void)snprintf(key->label, sizeof(key->label), "p11k:%s:%08x:%08x", ring, not_before, created);
    return token->keys_n++;
}

static void fingerprint(const struct fake_key *key, uint8_t out[16])
{
    uint8_t iv[32];
    static const uint8_t zero[16];
    static const char label[] = "p11-kms fingerprint v1";
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    must(EVP_Digest(label, sizeof(label) - 1, iv, NULL, EVP_sha256(), NULL) == 1);
    must(ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key->value, iv) == 1);
    must(EVP_CIPHER_CTX_set_padding(ctx, 0) == 1);
    must(EVP_EncryptUpdate(ctx, out, &len, zero, sizeof(zero)) == 1 && len == 16);
    EVP_CIPHER_CTX_free(ctx);
}

struct ipc_key_ref fake_token_ref(struct fake_token *token, size_t index)
{
    const struct fake_key *key = fake_token_key(token, index);
    struct ipc_key_ref ref = {
        .id_len = sizeof(key->id), .fingerprint_len = 16, .scheme = ENVELOPE_AES_GCM};
    memcpy(ref.id, key->id, sizeof(key->id));
    fingerprint(key, ref.fingerprint);
    return ref;
}

static const struct fake_key *find_key(struct fake_token *token, const struct ipc_key_ref *ref)
{
    for (size_t i = 0; i < token->keys_n; i++) {
        struct ipc_key_ref own = fake_token_ref(token, i);
        if (!token->keys[i].gone && memcmp(&own, ref, sizeof(own)) == 0) {
            return &token->keys[i];
        }
    }
    return NULL;
}

void fake_token_refused(struct answer *answer, enum ipc_outcome outcome)
{
    answer->header.outcome = (uint32_t)outcome;
    answer->header.rv = 5; /* CKR_GENERAL_ERROR */
    answer->len = 0;
}

static void put(struct answer *answer, const void *data, size_t len)
{
    must(len <= sizeof(answer->data));
    memcpy(answer->data, data, len);
    answer->len = len;
}

static bool is_unnamed(const struct fake_key *key)
{
    return key->state == IPC_KEY_UNREADABLE && key->label[0] == '\0';
}

/* Any label that begins like one of ours names a ring; only a whole one has dates. */
static struct ipc_activation activation_of(const char *label)
{
    struct ipc_activation out = {0};
    int end = 0;
    if (sscanf(label, "p11k:%9[a-z0-9-]:", out.ring) != 1 ||
        label[strlen("p11k:") + strlen(out.ring)] != ':') {
        return (struct ipc_activation){0};
    }
    int n = sscanf(label, "p11k:%*[a-z0-9-]:%8x:%8x%n", &out.not_before, &out.created, &end);
    out.by = n == 2 && label[end] == '\0' ? IPC_BY_LABEL : IPC_BY_BROKEN_LABEL;
    if (out.by == IPC_BY_BROKEN_LABEL) {
        out.not_before = out.created = 0;
    }
    return out;
}

static struct ipc_key describe(struct fake_token *token, size_t index)
{
    const struct fake_key *key = &token->keys[index];
    struct ipc_key out = {.ref = fake_token_ref(token, index),
                          .bad = key->bad,
                          .not_reported = key->not_reported,
                          .state = key->state,
                          .activation = activation_of(key->label)};
    if (key->state != IPC_KEY_READ) {
        out.ref.fingerprint_len = 0;
        out.rv = 5;
    }
    if (key->state == IPC_KEY_NO_ID || is_unnamed(key)) {
        out.ref.id_len = 0;
    }
    memcpy(out.label, key->label, sizeof(out.label));
    memcpy(out.serial, token->status.serial, sizeof(out.serial));
    memcpy(out.token, token->status.token, sizeof(out.token));
    return out;
}

static bool is_listed(const struct ipc_list *list, const struct fake_key *key)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof(prefix), "p11k:%.15s:", list->ring);
    bool of_ring = strncmp(key->label, prefix, strlen(prefix)) == 0;
    return !key->gone && (list->all || is_unnamed(key) || of_ring);
}

static void do_list(struct fake_token *token, struct span payload, struct answer *answer)
{
    struct ipc_list list;
    struct ipc_list_end end = {0};
    must(payload.len == sizeof(list));
    memcpy(&list, payload.ptr, sizeof(list));
    for (size_t i = 0; i < token->keys_n; i++) {
        if (is_listed(&list, &token->keys[i])) {
            struct answer one = {.header = answer->header};
            struct ipc_key key = describe(token, i);
            put(&one, &key, sizeof(key));
            fake_token_send(token, &one);
            end.count++;
        }
    }
    answer->header.verb = IPC_LIST_END;
    put(answer, &end, sizeof(end));
}

static void do_generate(struct fake_token *token, struct span payload, struct answer *answer)
{
    struct ipc_generate in;
    must(payload.len == sizeof(in));
    memcpy(&in, payload.ptr, sizeof(in));
    uint32_t now = (uint32_t)token->now_s;
    uint32_t created = now > in.created_s ? now : in.created_s;
    uint32_t not_before = in.not_before;
    if (not_before == 0) {
        not_before = created > in.floor_s ? created : in.floor_s;
    }
    if ((int64_t)not_before - now < (int64_t)in.min_notice_s) {
        fake_token_refused(answer, IPC_NOTICE);
        return;
    }
    char ring[sizeof(in.ring) + 1] = {0};
    memcpy(ring, in.ring, sizeof(in.ring));
    size_t index = fake_token_add_key(token, ring, not_before, created);
    memcpy(token->keys[index].id, in.id, sizeof(in.id));
    struct ipc_key key = describe(token, index);
    put(answer, &key, sizeof(key));
}

static void seal(const struct fake_key *key, const struct ipc_crypt *in, struct span data,
                 struct answer *answer)
{
    uint8_t *iv = answer->data + 1;
    uint8_t *ct = iv + IV_LEN;
    int len = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    answer->data[0] = IV_LEN;
    must(RAND_bytes(iv, IV_LEN) == 1);
    must(ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->value, iv) == 1);
    must(EVP_EncryptUpdate(ctx, NULL, &len, in->aad, in->aad_len) == 1);
    must(EVP_EncryptUpdate(ctx, ct, &len, data.ptr, (int)data.len) == 1);
    must(EVP_EncryptFinal_ex(ctx, ct + len, &len) == 1);
    must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, ct + data.len) == 1);
    EVP_CIPHER_CTX_free(ctx);
    answer->len = 1 + IV_LEN + data.len + TAG_LEN;
}

static void unseal(const struct fake_key *key, const struct ipc_crypt *in, struct span data,
                   struct answer *answer)
{
    int len = 0;
    if (data.len < 1 + IV_LEN + TAG_LEN || data.ptr[0] != IV_LEN) {
        fake_token_refused(answer, IPC_DATA);
        return;
    }
    size_t n = data.len - 1 - IV_LEN - TAG_LEN;
    uint8_t tag[TAG_LEN];
    memcpy(tag, data.ptr + data.len - TAG_LEN, TAG_LEN);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    must(ctx != NULL &&
         EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->value, data.ptr + 1) == 1);
    must(EVP_DecryptUpdate(ctx, NULL, &len, in->aad, in->aad_len) == 1);
    must(EVP_DecryptUpdate(ctx, answer->data, &len, data.ptr + 1 + IV_LEN, (int)n) == 1);
    must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1);
    bool good = EVP_DecryptFinal_ex(ctx, answer->data + len, &len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    answer->len = n;
    if (!good) {
        fake_token_refused(answer, IPC_DATA);
    }
}

static void do_crypt(struct fake_token *token, bool wrap, struct span payload,
                     struct answer *answer)
{
    struct ipc_crypt in;
    must(payload.len >= sizeof(in));
    memcpy(&in, payload.ptr, sizeof(in));
    struct span data = span_of(payload.ptr + sizeof(in), payload.len - sizeof(in));
    must(in.data_len == data.len && in.aad_len <= sizeof(in.aad));
    const struct fake_key *key = find_key(token, &in.key);
    token->status.calls++;
    if (key == NULL) {
        fake_token_refused(answer, IPC_NO_KEY);
    } else if (wrap) {
        seal(key, &in, data, answer);
    } else {
        unseal(key, &in, data, answer);
    }
}

static void do_random(struct fake_token *token, struct span payload, struct answer *answer)
{
    struct ipc_random in;
    must(payload.len == sizeof(in));
    memcpy(&in, payload.ptr, sizeof(in));
    must(in.n >= 1 && in.n <= 256 && RAND_bytes(answer->data, (int)in.n) == 1);
    token->status.calls++;
    answer->len = in.n;
}

void fake_token_work(struct fake_token *token, struct span payload, struct answer *answer)
{
    if (answer->header.verb == IPC_PROBE) {
        put(answer, &token->status, sizeof(token->status));
        return;
    }
    if (token->status.phase != IPC_PHASE_READY) {
        fake_token_refused(answer, IPC_UNAVAILABLE);
        return;
    }
    switch ((int)answer->header.verb) {
    case IPC_LIST:
        do_list(token, payload, answer);
        break;
    case IPC_GENERATE:
        do_generate(token, payload, answer);
        break;
    case IPC_RANDOM:
        do_random(token, payload, answer);
        break;
    case IPC_WRAP:
    case IPC_UNWRAP:
        do_crypt(token, answer->header.verb == IPC_WRAP, payload, answer);
        break;
    default:
        abort();
    }
}
