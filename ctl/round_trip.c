#define _GNU_SOURCE
#include "ctl/round_trip.h"

#include <sys/random.h>

#include "base/secret.h"
#include "keys/envelope.h"

#define PLAIN_LEN  32u
#define TIMEOUT_MS 3000 /* what the API server gives */

struct version {
    const char *name;
    enum codec_method encrypt;
    enum codec_method decrypt;
};

static const struct version versions[] = {
    {"v2", CODEC_V2_ENCRYPT, CODEC_V2_DECRYPT},
    {"v1", CODEC_V1_ENCRYPT, CODEC_V1_DECRYPT},
};

/* What the server said outdoes our own word for it. */
static err_t answered(const struct kms_answer *answer, json_t *row)
{
    if (answer->grpc_status == 0) {
        return OK;
    }
    output_text(row, "result", answer->message);
    return FAIL_DETAIL(E_STATE, answer->grpc_status, "refused");
}

static void add_key_id(json_t *row, struct span key_id)
{
    char text[CODEC_TEXT_MAX + 1] = "";
    if (key_id.len > 0 && key_id.len < sizeof(text)) {
        span_move(text, key_id.ptr, key_id.len);
    }
    output_text(row, "key_id", text);
}

/* Encrypts `plain`; the ciphertext and the key_id for Decrypt go to the two secrets. */
static err_t encrypt(struct kms_client *client, const struct version *version, struct span plain,
                     struct secret *out[2], json_t *row)
{
    CLEANUP(kms_answer_done) struct kms_answer answer = {0};
    const struct codec_request request = {
        .payload = plain, .uid = span_of_text("p11-kmsctl"), .version = span_of_text("v1beta1")};
    TRY(kms_client_call(client, version->encrypt, &request, TIMEOUT_MS, &answer));
    output_number(row, "encrypt_us", answer.took_us);
    TRY(answered(&answer, row));
    output_number(row, "ciphertext_bytes", (int64_t)answer.response.payload.len);
    add_key_id(row, answer.response.key_id);
    TRY(secret_append(out[0], answer.response.payload));
    return secret_append(out[1], answer.response.key_id);
}

static err_t decrypt(struct kms_client *client, const struct version *version,
                     struct secret *const in[2], struct span plain, json_t *row)
{
    CLEANUP(kms_answer_done) struct kms_answer answer = {0};
    const struct codec_request request = {.payload = secret_view(in[0]),
                                          .key_id = secret_view(in[1]),
                                          .uid = span_of_text("p11-kmsctl"),
                                          .version = span_of_text("v1beta1")};
    TRY(kms_client_call(client, version->decrypt, &request, TIMEOUT_MS, &answer));
    output_number(row, "decrypt_us", answer.took_us);
    TRY(answered(&answer, row));
    return secret_equal(answer.response.payload, plain)
               ? OK
               : FAIL(E_CRYPTO, "the plaintext came back changed");
}

static err_t both_ways(struct kms_client *client, const struct version *version, json_t *row)
{
    CLEANUP(secret_free_p) struct secret *plain = NULL;
    CLEANUP(secret_free_p) struct secret *sealed = NULL;
    CLEANUP(secret_free_p) struct secret *key_id = NULL;
    TRY(secret_new(SECRET_2KIB, PLAIN_LEN, &plain));
    TRY(secret_new(SECRET_2KIB, KMS_CLIENT_BODY_MAX, &sealed));
    TRY(secret_new(SECRET_2KIB, CODEC_TEXT_MAX, &key_id));
    if (getrandom(secret_room(plain).ptr, PLAIN_LEN, 0) != (ssize_t)PLAIN_LEN) {
        return FAIL_ERRNO("cannot draw a plaintext");
    }
    secret_set_len(plain, PLAIN_LEN);
    struct secret *parts[2] = {sealed, key_id};
    TRY(encrypt(client, version, secret_view(plain), parts, row));
    return decrypt(client, version, parts, secret_view(plain), row);
}

bool round_trip(struct kms_client *client, json_t *rows)
{
    bool good = true;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        json_t *row = json_object();
        output_text(row, "api", versions[i].name);
        output_text(row, "result", "");
        output_number(row, "ciphertext_bytes", 0);
        output_number(row, "encrypt_us", 0);
        output_number(row, "decrypt_us", 0);
        output_text(row, "key_id", "");
        err_t err = both_ways(client, &versions[i], row);
        good = good && !failed(err);
        if (json_string_length(json_object_get(row, "result")) == 0) {
            output_text(row, "result", failed(err) ? err.what : "ok");
        }
        output_row(rows, row);
    }
    return good;
}
