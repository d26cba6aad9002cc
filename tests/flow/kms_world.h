/*
 * kms_world: the KMS service with a fake token process and a clock that the test turns. Requests go
 * in as protobuf bytes, answers come out as structs. Any trouble of its own fails the test.
 */
#ifndef TESTS_FLOW_KMS_WORLD_H
#define TESTS_FLOW_KMS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/state.h"
#include "keys/seal.h"
#include "server/kms/kms.h"
#include "server/kms/service.h"
#include "tests/kit/fake_token.h"
#include "tests/kit/unit.h"

#define WORLD_RING    "test"
#define WORLD_ANSWERS 1024u

/* What a call was answered. */
struct answer {
    bool has;
    unsigned times;      /* answered so often: 1 */
    enum err_code code;
    char text[200];
    uint8_t payload[1024];
    size_t payload_len;
    char key_id[64];
    char healthz[512];
    char version[32];
    char runtime[32];
};

struct world {
    struct config config;
    struct fake_token *token;
    struct service *service;
    struct seal *seal;
    int64_t mono_ms;
    int32_t next_stream;
    struct answer answers[WORLD_ANSWERS]; /* by stream */
    enum codec_method methods[WORLD_ANSWERS];
    struct {
        bool has;
        uint8_t *bytes;
        size_t len;
        unsigned puts;
    } state[STATE_FILES];
    char line[256];
    unsigned hung;
    uint64_t now_real_s;
};

/* Lines of the log since world_new: of this event, with a text field that is `text` (NULL: any). */
unsigned world_logged(const char *event, const char *text);
/* The number `key` in the last line of this event that has one; -1 none. */
int64_t world_logged_number(const char *event, const char *key);

/* A ring with one KEK active since an hour; the service is not started. Time stands still. */
struct world *world_new(void);
/* Frees all and checks that nothing is left in the arena. */
void world_free(struct world *world);

int64_t world_real_s(void);
/* The wall clock jumps; the others do not. */
void world_set_real_s(int64_t real_s);

/* A front process begins with what the state directory holds, and a token process with it. */
void world_start(struct world *world);
/* As world_start, with the token process not there yet. */
void world_start_alone(struct world *world);
/* The front process is gone, at once. */
void world_kill(struct world *world);
/* Start and 5 s: serving. */
void world_serve(struct world *world);
/* The token process dies; comes (back). */
void world_token_away(struct world *world);
void world_token_back(struct world *world);

/* All that can happen now, happens. */
void world_settle(struct world *world);
/* Time passes, and all that happens in it. */
void world_pass(struct world *world, int64_t ms);

/*
 * Sends a request, returns its stream. The answer is in world->answers[stream], at once or later.
 */
int32_t world_status(struct world *world, enum service_authority authority);
int32_t world_encrypt(struct world *world, enum codec_method method, const char *plaintext);
int32_t world_decrypt(struct world *world, enum codec_method method, const void *bytes, size_t len,
                      const char *key_id);
/* All of it: with its own key_id. */
int32_t world_decrypt_of(struct world *world, const struct answer *encrypted);
int32_t world_send(struct world *world, enum codec_method method,
                   const struct codec_request *request, int64_t deadline_ms);
void world_cancel(struct world *world, int32_t stream);

/*
 * An envelope of another node: a fresh seed under this KEK of the token. Returned as an answer to
 * Encrypt.
 */
struct answer world_foreign(struct world *world, size_t key, const char *plaintext);

#define assert_answer_ok(world_, stream_)                                                          \
    do {                                                                                           \
        const struct answer *answer_ = &(world_)->answers[(stream_)];                              \
        assert_true(answer_->has);                                                                 \
        if (answer_->code != E_NONE) {                                                             \
            fail_msg("answered %s: %s", err_code_name(answer_->code), answer_->text);              \
        }                                                                                          \
    } while (0)

#define assert_answer_fails(world_, stream_, code_)                                                \
    do {                                                                                           \
        const struct answer *answer_ = &(world_)->answers[(stream_)];                              \
        assert_true(answer_->has);                                                                 \
        assert_int_equal(answer_->code, (code_));                                                  \
    } while (0)

#endif
