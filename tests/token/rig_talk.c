/* What the rig says to the process as its client, and hears. */
#define _GNU_SOURCE
#include "tests/token/rig.h"

#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "tests/kit/unit.h"

#define REPLY_MS    30000
#define CRYPT_FRAME (sizeof(struct ipc_crypt) + 1024)

static bool receive(struct token_rig *rig, uint64_t call, struct rig_reply *reply)
{
    int64_t until_ms = clock_mono_ms() + REPLY_MS;
    for (;;) {
        if (!rig_wait_frame(rig, until_ms) ||
            failed(ipc_receive(rig->service_fd, &reply->header,
                               span_mut_of(reply->bytes, sizeof(reply->bytes)), &reply->data))) {
            assert_true(clock_mono_ms() < until_ms);
            return false;
        }
        if (reply->header.verb == IPC_HELLO) {
            assert_false(rig->greeted);
            assert_true(span_equal(reply->data, span_of_text(P11KMS_BUILD_ID)));
            rig->greeted = true;
        } else if (reply->header.call == call) {
            assert_true(rig->greeted);
            assert_int_equal(reply->header.flags, IPC_REPLY);
            return true;
        } else {
            assert_true(rig->greeted);
            rig->strays += reply->header.call != 0;
        }
    }
}

static uint64_t send_request(struct token_rig *rig, enum ipc_verb verb, struct span payload)
{
    struct ipc_header header = {
        .verb = (uint16_t)verb, .call = ++rig->call, .remaining_ms = rig->call_ms};
    (void)!failed(ipc_send(rig->service_fd, &header, payload));
    return rig->call;
}

bool rig_call(struct token_rig *rig, enum ipc_verb verb, struct span payload,
              struct rig_reply *ret_reply)
{
    return receive(rig, send_request(rig, verb, payload), ret_reply);
}

struct ipc_status rig_status(struct token_rig *rig)
{
    struct rig_reply reply;
    struct ipc_status status;
    assert_true(rig_call(rig, IPC_PROBE, span_of(NULL, 0), &reply));
    assert_int_equal(reply.data.len, sizeof(status));
    memcpy(&status, reply.data.ptr, sizeof(status));
    return status;
}

struct ipc_status rig_wait_phase(struct token_rig *rig, enum ipc_phase phase, int timeout_ms)
{
    int64_t until_ms = clock_mono_ms() + (int64_t)timeout_ms * PATIENCE;
    for (;;) {
        struct ipc_status status = rig_status(rig);
        if (status.phase == (uint32_t)phase) {
            return status;
        }
        if (clock_mono_ms() >= until_ms) {
            fail_msg("phase %u, not %u: %s", status.phase, phase, status.text);
        }
        (void)rig_wait_frame(rig, clock_mono_ms() + 50);
    }
}

void rig_start_ready(struct token_rig *rig)
{
    rig_start(rig);
    (void)rig_wait_phase(rig, IPC_PHASE_READY, 15000);
}

bool rig_list_as(struct token_rig *rig, const struct ipc_list *ask, struct rig_listing *ret_listing)
{
    struct rig_reply reply;
    uint64_t call = send_request(rig, IPC_LIST, span_of(ask, sizeof(*ask)));
    *ret_listing = (struct rig_listing){0};
    for (;;) {
        if (!receive(rig, call, &reply)) {
            return false;
        }
        ret_listing->outcome = reply.header.outcome;
        if (reply.header.outcome != IPC_OK || reply.header.verb == IPC_LIST_END) {
            return true;
        }
        assert_int_equal(reply.data.len, sizeof(struct ipc_key));
        assert_true(ret_listing->n < RIG_KEYS);
        memcpy(&ret_listing->keys[ret_listing->n++], reply.data.ptr, sizeof(struct ipc_key));
    }
}

struct ipc_key rig_generate(struct token_rig *rig, uint8_t id)
{
    struct ipc_generate ask = {.ring = RIG_RING, .scheme = 1};
    struct rig_reply reply;
    struct ipc_key key;
    memset(ask.id, id, sizeof(ask.id));
    assert_true(rig_call(rig, IPC_GENERATE, span_of(&ask, sizeof(ask)), &reply));
    assert_int_equal(reply.header.outcome, IPC_OK);
    assert_int_equal(reply.data.len, sizeof(key));
    memcpy(&key, reply.data.ptr, sizeof(key));
    return key;
}

static struct span crypt_frame(uint8_t frame[CRYPT_FRAME], const struct ipc_key_ref *key,
                               const char *aad, struct span data)
{
    struct ipc_crypt ask = {.key = *key,
                            .aad_len = (uint8_t)strlen(aad),
                            .data_len = (uint16_t)data.len};
    memcpy(ask.aad, aad, strlen(aad));
    memcpy(frame, &ask, sizeof(ask));
    memcpy(frame + sizeof(ask), data.ptr, data.len);
    return span_of(frame, sizeof(ask) + data.len);
}

void rig_ask_unwrap(struct token_rig *rig, const struct ipc_key_ref *key, const char *aad,
                    struct span data)
{
    uint8_t frame[CRYPT_FRAME];
    (void)send_request(rig, IPC_UNWRAP, crypt_frame(frame, key, aad, data));
}

enum ipc_outcome rig_crypt(struct token_rig *rig, enum ipc_verb verb, const struct ipc_key_ref *key,
                           const char *aad, struct span data, struct rig_reply *ret_reply)
{
    uint8_t frame[CRYPT_FRAME];
    assert_true(rig_call(rig, verb, crypt_frame(frame, key, aad, data), ret_reply));
    return (enum ipc_outcome)ret_reply->header.outcome;
}
