#include "server/health/health.h"

/* P from which the state is HARD. A fresh proof is never HARD: on_token_loss hard means 60 s. */
static int64_t hard_after_ms(const struct health_policy *policy)
{
    int64_t after = policy->coast_ms + policy->soft_ms;
    return after > HEALTH_FRESH_MS ? after : HEALTH_FRESH_MS;
}

enum health_state health_evaluate(const struct health_policy *policy,
                                  const struct health_facts *facts)
{
    int64_t p = facts->proof_age_ms;
    if (facts->bad_verdict || facts->hard_remembered || p >= hard_after_ms(policy)) {
        return HEALTH_HARD;
    }
    if (p < 0 || facts->older_than_remembered) {
        return HEALTH_START;
    }
    if (p < HEALTH_FRESH_MS) {
        return HEALTH_OK;
    }
    return p < policy->coast_ms ? HEALTH_COAST : HEALTH_SOFT;
}

static enum health_answer start_answer(const struct health_policy *policy,
                                       const struct health_facts *facts)
{
    bool outage_too_old = facts->outage_remembered_ms >= 0 &&
                          facts->outage_remembered_ms >= policy->coast_ms + policy->soft_ms;
    if (!facts->key_remembered || policy->hard_on_loss || outage_too_old) {
        return HEALTH_SAY_UNAVAILABLE;
    }
    return HEALTH_SAY_TEXT;
}

enum health_answer health_status_answer(enum health_state state, const struct health_policy *policy,
                                        const struct health_facts *facts, bool legacy_peer)
{
    switch (state) {
    case HEALTH_START:
        return start_answer(policy, facts);
    case HEALTH_OK:
    case HEALTH_COAST:
        return HEALTH_SAY_OK;
    case HEALTH_SOFT:
        return legacy_peer ? HEALTH_SAY_OK : HEALTH_SAY_TEXT;
    case HEALTH_HARD:
    default:
        return HEALTH_SAY_FAILED;
    }
}

enum health_encrypt health_encrypt_answer(enum health_state state)
{
    switch (state) {
    case HEALTH_START:
        return HEALTH_ENCRYPT_WAITS;
    case HEALTH_OK:
    case HEALTH_COAST:
    case HEALTH_SOFT:
        return HEALTH_ENCRYPT;
    case HEALTH_HARD:
    default:
        return HEALTH_ENCRYPT_REFUSED;
    }
}

const char *health_state_name(enum health_state state)
{
    static const char *const names[] = {
        [HEALTH_START] = "START", [HEALTH_OK] = "OK",     [HEALTH_COAST] = "COAST",
        [HEALTH_SOFT] = "SOFT",   [HEALTH_HARD] = "HARD",
    };
    return names[state];
}
