/*
 * rig: one HTTP/2 session with a fake service behind it and a peer in front, all in memory and with
 * a clock that the test turns.
 *
 *     struct rig *rig = rig_new(H2_SERVE);       SETTINGS are exchanged
 *     wire_call(&rig->to_send, 1, PATH, body);
 *     rig_run(rig);                              feeds to_send, reads the answers
 *     rig_answer(rig, 1)->grpc_status …
 *     rig_free(rig);                             aborts when a call or a secret is left over
 */
#ifndef TESTS_KIT_RIG_H
#define TESTS_KIT_RIG_H

#include "base/secret.h"
#include "server/http2/session.h"
#include "tests/kit/fake_service.h"
#include "tests/kit/wire.h"

#define RIG_NOW_MS      1000000
#define RIG_CONN        7u
#define RIG_GENERATION  3u
#define PATH_STATUS     "/v2.KeyManagementService/Status"
#define PATH_ENCRYPT    "/v2.KeyManagementService/Encrypt"
#define PATH_DECRYPT    "/v2.KeyManagementService/Decrypt"
#define PATH_V1_ENCRYPT "/v1beta1.KeyManagementService/Encrypt"

struct rig {
    struct service service;
    struct h2_shared *shared;
    struct h2_session *session;
    struct wire_peer *peer;
    struct wire to_send;
    int64_t now_ms;
    size_t pull_room; /* of each pull; at least H2_PULL_MIN */
    err_t fed;        /* result of the last feed */
};

/* secret_init must have been called. */
struct rig *rig_new(enum h2_policy policy);
/* The same without a byte said by the peer. */
struct rig *rig_new_silent(enum h2_policy policy);
void rig_free(struct rig *rig);
DEFINE_CLEANUP(struct rig *, rig_free)
void rig_run(struct rig *rig);
/* The same, `step` bytes at a time. */
void rig_run_in_steps(struct rig *rig, size_t step);
void rig_pull(struct rig *rig);
void rig_pass(struct rig *rig, int64_t ms);
/* Answers pending call number `index` of the service. */
void rig_reply(struct rig *rig, size_t index, struct service_reply reply);
const struct wire_answer *rig_answer(const struct rig *rig, int32_t stream);

#endif
