/*
 * health: the state that Status reports. A pure function of facts and policy; no clock, no memory.
 * See docs/operate.md for what each state means to an operator.
 *
 * P = age of the last proof of the serving KEK in this process. V = a confirmed bad verdict on it
 * (missing, wrong, attributes changed). First match wins:
 *
 *   HARD   V, or a process start with HARD remembered, or P >= coast + soft_max
 *   START  no proof in this process yet, or the selected key is older than the remembered one
 *   OK     P < 60 s
 *   COAST  P < coast
 *   SOFT   P < coast + soft_max
 *
 * Any successful proof of the serving KEK clears V and a remembered HARD (the caller stops setting
 * them).
 */
#ifndef SERVER_HEALTH_HEALTH_H
#define SERVER_HEALTH_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum health_state { HEALTH_START, HEALTH_OK, HEALTH_COAST, HEALTH_SOFT, HEALTH_HARD };

#define HEALTH_FRESH_MS 60000

struct health_policy {
    int64_t coast_ms; /* on_token_loss soft: 0 */
    int64_t soft_ms;  /* on_token_loss hard: 0, and coast 0 */
    bool hard_on_loss;
};

struct health_facts {
    int64_t proof_age_ms;        /* -1: no proof of the serving KEK in this process */
    bool bad_verdict;            /* V */
    bool hard_remembered;        /* HARD stood in the state directory at start, no proof since */
    bool older_than_remembered;  /* what could serve ranks below the newest key ever served here */
    bool key_remembered;         /* a key_id can be named although nothing is proven yet */
    int64_t outage_remembered_ms; /* age of the outage remembered at start; -1 none */
};

enum health_state health_evaluate(const struct health_policy *policy,
                                  const struct health_facts *facts);

enum health_answer {
    HEALTH_SAY_OK,          /* healthz "ok" */
    HEALTH_SAY_TEXT,        /* healthz = the mend, key_id as served or remembered */
    HEALTH_SAY_UNAVAILABLE, /* no answer to give: RPC error UNAVAILABLE */
    HEALTH_SAY_FAILED       /* RPC error FAILED_PRECONDITION: writes stop within 3 minutes */
};

/*
 * legacy_peer: an :authority that begins with '/', Kubernetes ≤ 1.28, whose livez includes this
 * check.
 */
enum health_answer health_status_answer(enum health_state state, const struct health_policy *policy,
                                        const struct health_facts *facts, bool legacy_peer);

enum health_encrypt { HEALTH_ENCRYPT, HEALTH_ENCRYPT_WAITS, HEALTH_ENCRYPT_REFUSED };
enum health_encrypt health_encrypt_answer(enum health_state state);

const char *health_state_name(enum health_state state); /* "START" "OK" "COAST" "SOFT" "HARD" */

#endif
