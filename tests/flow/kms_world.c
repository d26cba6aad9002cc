#include "tests/flow/kms_world.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "keys/key_id.h"

static int64_t clock_ms = 1000000; /* monotonic and boot time */
static int64_t real_offset_s;      /* wall clock less monotonic time */

int64_t __wrap_clock_real_s(void);
int64_t __wrap_clock_boot_ms(void);
int64_t __wrap_clock_mono_ms(void);

int64_t __wrap_clock_real_s(void)
{
    return real_offset_s + clock_ms / 1000;
}

int64_t __wrap_clock_boot_ms(void)
{
    return clock_ms;
}

int64_t __wrap_clock_mono_ms(void)
{
    return clock_ms;
}

/* ---- the log ---- */

#define LOG_FIELDS 8u
#define LOG_LINES  512u

static struct {
    char event[32];
    char texts[LOG_FIELDS][128];
    char keys[LOG_FIELDS][32];
    int64_t numbers[LOG_FIELDS];
    size_t n;
} log_lines[LOG_LINES];
static size_t log_lines_n;

void __real_log_write(enum log_level level, const char *event, const struct log_field *fields,
                      size_t n);
void __wrap_log_write(enum log_level level, const char *event, const struct log_field *fields,
                      size_t n);
void __wrap_log_write(enum log_level level, const char *event, const struct log_field *fields,
                      size_t n)
{
    __real_log_write(level, event, fields, n);
    if (log_lines_n == LOG_LINES) {
        return;
    }
    (void)snprintf(log_lines[log_lines_n].event, sizeof(log_lines[0].event), "%s", event);
    log_lines[log_lines_n].n = n < LOG_FIELDS ? n : LOG_FIELDS;
    for (size_t i = 0; i < log_lines[log_lines_n].n; i++) {
        const char *text = fields[i].kind == LOG_KIND_TEXT ? fields[i].text : "";
        (void)snprintf(log_lines[log_lines_n].texts[i], sizeof(log_lines[0].texts[0]), "%s", text);
        (void)snprintf(log_lines[log_lines_n].keys[i], sizeof(log_lines[0].keys[0]), "%s",
                       fields[i].key);
        log_lines[log_lines_n].numbers[i] = fields[i].number;
    }
    log_lines_n++;
}

static bool line_has(size_t line, const char *text)
{
    for (size_t i = 0; i < log_lines[line].n; i++) {
        if (strcmp(log_lines[line].texts[i], text) == 0) {
            return true;
        }
    }
    return false;
}

unsigned world_logged(const char *event, const char *text)
{
    unsigned n = 0;
    for (size_t i = 0; i < log_lines_n; i++) {
        if (strcmp(log_lines[i].event, event) == 0 && (text == NULL || line_has(i, text))) {
            n++;
        }
    }
    return n;
}

int64_t world_logged_number(const char *event, const char *key)
{
    for (size_t i = log_lines_n; i > 0; i--) {
        for (size_t k = 0; strcmp(log_lines[i - 1].event, event) == 0 && k < log_lines[i - 1].n;
             k++) {
            if (strcmp(log_lines[i - 1].keys[k], key) == 0) {
                return log_lines[i - 1].numbers[k];
            }
        }
    }
    return -1;
}

/* ---- the service ---- */

int64_t world_real_s(void)
{
    return __wrap_clock_real_s();
}

void world_set_real_s(int64_t real_s)
{
    real_offset_s = real_s - clock_ms / 1000;
}

static void take_response(enum codec_method method, struct span body, struct answer *answer)
{
    struct codec_response response;
    assert_ok(codec_unpack_response(method, body, &response));
    assert_true(response.payload.len <= sizeof(answer->payload));
    if (response.payload.len > 0) {
        memcpy(answer->payload, response.payload.ptr, response.payload.len);
    }
    answer->payload_len = response.payload.len;
    (void)snprintf(answer->key_id, sizeof(answer->key_id), "%.*s", (int)response.key_id.len,
                   (const char *)response.key_id.ptr);
    (void)snprintf(answer->healthz, sizeof(answer->healthz), "%.*s", (int)response.healthz.len,
                   (const char *)response.healthz.ptr);
    (void)snprintf(answer->version, sizeof(answer->version), "%.*s", (int)response.version.len,
                   (const char *)response.version.ptr);
    (void)snprintf(answer->runtime, sizeof(answer->runtime), "%.*s", (int)response.runtime_name.len,
                   (const char *)response.runtime_name.ptr);
    codec_response_done(&response);
}

static void on_reply(void *ctx, struct ticket ticket, struct service_reply *reply)
{
    struct world *world = ctx;
    struct answer *answer = &world->answers[ticket.stream];
    answer->has = true;
    answer->times++;
    answer->code = reply->err.code;
    (void)snprintf(answer->text, sizeof(answer->text), "%s", reply->text);
    if (reply->body != NULL) {
        take_response(world->methods[ticket.stream], secret_view(reply->body), answer);
    }
    secret_free(TAKE(reply->body));
}

static bool on_put_state(void *ctx, enum state_file file, struct span bytes)
{
    struct world *world = ctx;
    free(world->state[file].bytes);
    world->state[file].bytes = malloc(bytes.len);
    assert_non_null(world->state[file].bytes);
    memcpy(world->state[file].bytes, bytes.ptr, bytes.len);
    world->state[file].len = bytes.len;
    world->state[file].has = true;
    world->state[file].puts++;
    return true;
}

static void on_line(void *ctx, const char *line)
{
    struct world *world = ctx;
    (void)snprintf(world->line, sizeof(world->line), "%s", line);
}

static void on_hung(void *ctx)
{
    struct world *world = ctx;
    world->hung++;
}

static const struct config standard = {
    .ring = WORLD_RING,
    .seed_life_s = 86400,
    .activation_delay_s = 300,
    .derived_keys = 1024,
    .coast_s = 3600,
    .soft_max_s = 86400,
    .tokens = {{.name = "main", .sessions = 4}},
    .tokens_n = 1,
};

struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    assert_ok(secret_init(&secret_budget_front));
    log_lines_n = 0;
    world_set_real_s(clock_build_s() + 1000000);
    world->config = standard;
    world->token = fake_token_new(world_real_s());
    uint32_t since = (uint32_t)world_real_s() - 3600;
    (void)fake_token_add_key(world->token, WORLD_RING, since, since);
    assert_ok(seal_new(&world->seal));
    world->next_stream = 1;
    return world;
}

void world_free(struct world *world)
{
    world_kill(world);
    seal_free(world->seal);
    fake_token_free(world->token);
    for (size_t i = 0; i < STATE_FILES; i++) {
        free(world->state[i].bytes);
    }
    free(world);
    for (int part = SECRET_SEED; part < SECRET_PARTS; part++) {
        assert_int_equal(secret_in_use((enum secret_part)part), 0);
    }
    assert_true(secret_free_space_is_zero());
    secret_done();
}

void world_start_alone(struct world *world)
{
    const struct service_events events = {world, on_reply};
    const struct kms_outputs outputs = {world, on_put_state, on_line, on_hung};
    assert_null(world->service);
    assert_ok(service_new(&world->config, &events, &outputs, &world->service));
    for (size_t i = 0; i < STATE_FILES; i++) {
        if (world->state[i].has) {
            service_remember(world->service, (enum state_file)i,
                             span_of(world->state[i].bytes, world->state[i].len));
        }
    }
    service_start(world->service);
    service_tick(world->service);
}

void world_token_back(struct world *world)
{
    service_token_attach(world->service, fake_token_connect(world->token));
    world_settle(world);
}

void world_token_away(struct world *world)
{
    fake_token_die(world->token);
    world_settle(world);
}

void world_start(struct world *world)
{
    world_start_alone(world);
    world_token_back(world);
}

void world_serve(struct world *world)
{
    world_start(world);
    world_pass(world, 5000);
}

void world_kill(struct world *world)
{
    service_free(TAKE(world->service));
    fake_token_die(world->token);
}

void world_settle(struct world *world)
{
    for (int calm = 0; calm < 3;) {
        size_t frames = fake_token_pump(world->token);
        if (service_token_fd(world->service) >= 0) {
            service_token_readable(world->service);
        }
        service_tick(world->service);
        calm = frames == 0 ? calm + 1 : 0;
    }
}

void world_pass(struct world *world, int64_t ms)
{
    int64_t until_ms = clock_ms + ms;
    while (clock_ms < until_ms) {
        int64_t next_ms = service_next_ms(world->service);
        next_ms = next_ms <= clock_ms ? clock_ms + 1 : next_ms;
        clock_ms = next_ms < until_ms ? next_ms : until_ms;
        fake_token_set_time(world->token, world_real_s());
        world_settle(world);
    }
}

int32_t world_send(struct world *world, enum codec_method method,
                   const struct codec_request *request, int64_t deadline_ms)
{
    CLEANUP(secret_free_p) struct secret *body = NULL;
    int32_t stream = world->next_stream++;
    assert_true((size_t)stream < WORLD_ANSWERS);
    world->answers[stream] = (struct answer){0};
    world->methods[stream] = method;
    assert_ok(secret_new(SECRET_128KIB, 4096, &body));
    assert_ok(codec_pack_request(method, request, body));
    const struct service_call call = {.method = method,
                                      .ticket = {1, 1, stream},
                                      .deadline_ms = deadline_ms,
                                      .body = secret_view(body)};
    struct service_reply reply;
    if (service_handle(world->service, &call, &reply) == SERVICE_DONE) {
        on_reply(world, call.ticket, &reply);
    }
    return stream;
}

int32_t world_status(struct world *world, enum service_authority authority)
{
    int32_t stream = world->next_stream++;
    assert_true((size_t)stream < WORLD_ANSWERS);
    world->answers[stream] = (struct answer){0};
    world->methods[stream] = CODEC_V2_STATUS;
    const struct service_call call = {.method = CODEC_V2_STATUS,
                                      .ticket = {1, 1, stream},
                                      .deadline_ms = clock_ms + 3000,
                                      .authority = authority};
    struct service_reply reply;
    if (service_handle(world->service, &call, &reply) == SERVICE_DONE) {
        on_reply(world, call.ticket, &reply);
    }
    return stream;
}

int32_t world_encrypt(struct world *world, enum codec_method method, const char *plaintext)
{
    const struct codec_request request = {.payload = span_of_text(plaintext),
                                          .version = span_of_text("v1beta1"),
                                          .uid =
                                              span_of_text("00000000-aaaa-BBBB-cccc-000000000000")};
    return world_send(world, method, &request, clock_ms + 3000);
}

int32_t world_decrypt(struct world *world, enum codec_method method, const void *bytes, size_t len,
                      const char *key_id)
{
    const struct codec_request request = {.payload = span_of(bytes, len),
                                          .version = span_of_text("v1beta1"),
                                          .key_id = span_of_text(key_id)};
    return world_send(world, method, &request, clock_ms + 3000);
}

int32_t world_decrypt_of(struct world *world, const struct answer *encrypted)
{
    enum codec_method method = encrypted->key_id[0] != '\0' ? CODEC_V2_DECRYPT : CODEC_V1_DECRYPT;
    return world_decrypt(world, method, encrypted->payload, encrypted->payload_len,
                         encrypted->key_id);
}

void world_cancel(struct world *world, int32_t stream)
{
    service_cancel(world->service, (struct ticket){1, 1, stream});
}

/* What a token would do: iv_len, IV, ciphertext, tag. */
static size_t wrap(const struct fake_key *key, const uint8_t aad[ENVELOPE_WRAP_AAD],
                   const uint8_t seed[SEED_LEN], uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    out[0] = 12;
    assert_int_equal(RAND_bytes(out + 1, 12), 1);
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->value, out + 1), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, aad, ENVELOPE_WRAP_AAD), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, out + 13, &len, seed, SEED_LEN), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, out + 13 + len, &len), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, out + 13 + SEED_LEN), 1);
    EVP_CIPHER_CTX_free(ctx);
    return 13 + SEED_LEN + 16;
}

struct answer world_foreign(struct world *world, size_t key, const char *plaintext)
{
    struct envelope_head head = {.suite = ENVELOPE_SEED,
                                 .scheme = ENVELOPE_AES_GCM,
                                 .activation = 77,
                                 .born = (uint32_t)world_real_s()};
    struct ipc_key_ref ref = fake_token_ref(world->token, key);
    assert_ok(key_id_realm(WORLD_RING, head.realm));
    assert_ok(key_id_kek(head.scheme, span_of(ref.id, ref.id_len),
                         span_of(ref.fingerprint, ref.fingerprint_len), head.kek_id));
    uint8_t aad[ENVELOPE_WRAP_AAD];
    uint8_t seed[SEED_LEN];
    uint8_t wrapped[80];
    envelope_wrap_aad(&head, aad);
    assert_int_equal(RAND_bytes(seed, sizeof(seed)), 1);
    size_t len = wrap(fake_token_key(world->token, key), aad, seed, wrapped);
    const struct seal_seed named = {&head, span_of(wrapped, len), span_of(seed, sizeof(seed))};
    struct answer made = {.has = true};
    assert_ok(seal_make(world->seal, &named, ENVELOPE_V2, span_of_text(plaintext),
                        span_mut_of(made.payload, sizeof(made.payload)), &made.payload_len));
    key_id_text(head.kek_id, head.activation, made.key_id);
    return made;
}
