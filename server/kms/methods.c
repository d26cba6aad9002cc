#include "server/kms/methods.h"

#include <stdio.h>

#include "base/version.h"
#include "keys/key_id.h"
#include "server/kms/suite.h"

#define V1_VERSION_TEXT "v1beta1"
#define REPLY_MAX       2048u

static bool is_uid(struct span uid)
{
    if (uid.len == 0 || uid.len >= CALL_UID_LEN) {
        return false;
    }
    for (size_t i = 0; i < uid.len; i++) {
        uint8_t c = uid.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '-')) {
            return false;
        }
    }
    return true;
}

static err_t take_plaintext(const struct codec_request *request, struct call *call)
{
    if (request->payload.len == 0 || request->payload.len > ENVELOPE_PLAIN_MAX) {
        return FAIL(E_INVALID, "the plaintext must have 1 to 512 bytes");
    }
    call->payload = request->payload;
    return OK;
}

/* Everything that an envelope can be refused for before a key is touched. */
static err_t take_ciphertext(const struct store *store, const struct codec_request *request,
                             struct call *call)
{
    if (request->payload.len == 0 || request->payload.len > ENVELOPE_MAX) {
        return FAIL(E_INVALID, "the ciphertext must have 1 to 1024 bytes");
    }
    TRY(envelope_parse(request->payload, &call->envelope));
    call->payload = request->payload;
    const struct envelope_head *head = &call->envelope.head;
    const struct suite *suite = NULL;
    TRY(suite_find(&store->config, head->suite, &suite));
    if (head->api != call_api(call)) {
        return FAIL(E_INVALID, "the ciphertext is of the other KMS API");
    }
    if (!span_equal(span_of(head->realm, ENVELOPE_REALM), span_of(store->realm, ENVELOPE_REALM))) {
        return FAIL(E_NOT_FOUND, "the ciphertext is of another ring");
    }
    bool v2 = call->method == CODEC_V2_DECRYPT;
    if (v2 && !key_id_matches(request->key_id, head->kek_id, head->activation)) {
        return FAIL(E_INVALID, "the key_id is not that of the ciphertext");
    }
    return OK;
}

static bool is_v1(enum codec_method method)
{
    return method == CODEC_V1_VERSION || method == CODEC_V1_ENCRYPT || method == CODEC_V1_DECRYPT;
}

err_t methods_take(const struct store *store, const struct codec_request *request,
                   struct call *call)
{
    if (is_v1(call->method) && store->config.kms_v1 == CONFIG_V1_OFF) {
        return FAIL(E_UNSUPPORTED, "KMS v1 is turned off here (kms_v1: off)");
    }
    struct span uid = is_uid(request->uid) ? request->uid : span_of_text("-");
    (void)snprintf(call->uid, sizeof(call->uid), "%.*s", (int)uid.len, (const char *)uid.ptr);
    switch (call->method) {
    case CODEC_V1_ENCRYPT:
    case CODEC_V2_ENCRYPT:
        return take_plaintext(request, call);
    case CODEC_V1_DECRYPT:
    case CODEC_V2_DECRYPT:
        return take_ciphertext(store, request, call);
    case CODEC_V1_VERSION:
    case CODEC_V2_STATUS:
        return OK;
    case CODEC_METHODS:
    default:
        return FAIL(E_UNSUPPORTED, "no such method");
    }
}

static err_t run_version(struct secret *body)
{
    const struct codec_response response = {
        .version = span_of_text(V1_VERSION_TEXT),
        .runtime_name = span_of_text("p11-kms"),
        .runtime_version = span_of_text(P11KMS_VERSION),
    };
    return codec_pack_response(CODEC_V1_VERSION, &response, body);
}

/* Kubernetes up to 1.28 knows only "v2beta1", and is known by how it addresses us. */
static const char *status_version(const struct config *config, enum service_authority authority)
{
    switch (config->status_version) {
    case CONFIG_STATUS_V2:
        return "v2";
    case CONFIG_STATUS_V2BETA1:
        return "v2beta1";
    case CONFIG_STATUS_AUTO:
    default:
        return authority == SERVICE_AUTHORITY_OTHER ? "v2" : "v2beta1";
    }
}

/* In its first second the process waits for its first proof, so that the first answer is true. */
static bool status_waits(const struct store *store, const struct health_facts *facts,
                         struct times now, struct call *call)
{
    int64_t left_ms = store->started_ms + STORE_FIRST_MS - now.boot_ms;
    if (facts->proof_age_ms >= 0 || left_ms <= 0) {
        return false;
    }
    call->wait.what = CALL_FOR_PROOF;
    call->expires_ms = times_earlier(call->expires_ms, now.mono_ms + left_ms);
    return true;
}

static err_t run_status(struct store *store, struct call *call, bool last, struct secret *body)
{
    struct times now = store_now(store);
    const struct health_policy policy = report_policy(&store->config);
    const struct health_facts facts = store_health(store, now);
    call->wait = (struct call_wait){0};
    if (!last && status_waits(store, &facts, now, call)) {
        return OK;
    }
    char mend[MEND_MAX] = "ok";
    switch (health_status_answer(health_evaluate(&policy, &facts), &policy, &facts,
                                 call->authority == SERVICE_AUTHORITY_PATH)) {
    case HEALTH_SAY_OK:
        break;
    case HEALTH_SAY_TEXT:
        store_mend(store, now, mend, sizeof(mend));
        break;
    case HEALTH_SAY_FAILED:
        return FAIL(E_STATE, "the KEK is lost or unproven for too long");
    case HEALTH_SAY_UNAVAILABLE:
    default:
        return FAIL(E_UNAVAILABLE, "no KEK is proven yet");
    }
    char key_id[KEY_ID_TEXT_LEN + 1];
    store_key_id(store, key_id);
    const struct codec_response response = {
        .version = span_of_text(status_version(&store->config, call->authority)),
        .healthz = span_of_text(mend),
        .key_id = span_of_text(key_id),
    };
    return codec_pack_response(CODEC_V2_STATUS, &response, body);
}

static err_t run_encrypt(struct store *store, struct call *call, struct secret *body)
{
    CLEANUP(secret_free_p) struct secret *envelope = NULL;
    TRY(suite_room(store, ENVELOPE_MAX, &envelope));
    struct suite_result result = {.bytes = envelope};
    TRY(suite_seal(store, call, &result));
    if (call_waits(call)) {
        return OK;
    }
    const struct codec_response response = {
        .payload = secret_view(envelope),
        .key_id = span_of_text(result.key_id),
    };
    return codec_pack_response(call->method, &response, body);
}

static err_t run_decrypt(struct store *store, struct call *call, struct secret *body)
{
    CLEANUP(secret_free_p) struct secret *plaintext = NULL;
    TRY(suite_room(store, ENVELOPE_PLAIN_MAX, &plaintext));
    struct suite_result result = {.bytes = plaintext};
    TRY(suite_open(store, call, &result));
    if (call_waits(call)) {
        return OK;
    }
    const struct codec_response response = {.payload = secret_view(plaintext)};
    return codec_pack_response(call->method, &response, body);
}

static err_t run(struct store *store, struct call *call, bool last, struct secret *body)
{
    switch (call->method) {
    case CODEC_V1_VERSION:
        return run_version(body);
    case CODEC_V2_STATUS:
        return run_status(store, call, last, body);
    case CODEC_V1_ENCRYPT:
    case CODEC_V2_ENCRYPT:
        return run_encrypt(store, call, body);
    case CODEC_V1_DECRYPT:
    case CODEC_V2_DECRYPT:
        return run_decrypt(store, call, body);
    case CODEC_METHODS:
    default:
        return FAIL(E_UNSUPPORTED, "no such method");
    }
}

err_t methods_run(struct store *store, struct call *call, bool last, struct secret **ret_body)
{
    CLEANUP(secret_free_p) struct secret *body = NULL;
    TRY(suite_room(store, REPLY_MAX, &body));
    TRY(run(store, call, last, body));
    if (!call_waits(call)) {
        *ret_body = TAKE(body);
    }
    return OK;
}
