/*
 * Every combination of policy and facts around every border against a second reading of the table
 * in docs/operate.md, written row by row and sharing nothing with the code.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/health/health.h"

#define COUNT(array_) (sizeof(array_) / sizeof((array_)[0]))
#define MINUTE        60000

struct grid {
    struct health_policy policy;
    struct health_facts facts;
    bool legacy;
    unsigned long cases;
    unsigned long wrong;
    unsigned long states[5];
};

/* on_token_loss: coast (default and others), soft, hard. */
static const struct health_policy policies[] = {
    {60 * MINUTE, 1440 * MINUTE, false}, {2 * MINUTE, MINUTE, false}, {MINUTE, MINUTE, false},
    {0, 1440 * MINUTE, false},           {0, MINUTE, false},          {0, 0, true},
};

static bool proven_within(const struct health_facts *facts, int64_t ms)
{
    return facts->proof_age_ms >= 0 && facts->proof_age_ms < ms;
}

static enum health_state table_state(const struct health_policy *policy,
                                     const struct health_facts *facts)
{
    bool never_proven = facts->proof_age_ms < 0;
    bool confirmed_bad = facts->bad_verdict || facts->hard_remembered;
    bool too_long = !never_proven && !proven_within(facts, MINUTE) &&
                    !proven_within(facts, policy->coast_ms + policy->soft_ms);
    const struct {
        bool applies;
        enum health_state state;
    } rows[] = {
        {confirmed_bad || too_long, HEALTH_HARD},
        {never_proven || facts->older_than_remembered, HEALTH_START},
        {proven_within(facts, MINUTE), HEALTH_OK},
        {proven_within(facts, policy->coast_ms), HEALTH_COAST},
        {true, HEALTH_SOFT},
    };
    size_t row = 0;
    while (!rows[row].applies) {
        row++;
    }
    return rows[row].state;
}

static enum health_answer table_answer(enum health_state state, const struct grid *grid)
{
    const struct health_facts *facts = &grid->facts;
    bool outage_past = facts->outage_remembered_ms >= 0 &&
                       facts->outage_remembered_ms >= grid->policy.coast_ms + grid->policy.soft_ms;
    bool named = facts->key_remembered && !grid->policy.hard_on_loss && !outage_past;
    const enum health_answer answers[] = {
        [HEALTH_START] = named ? HEALTH_SAY_TEXT : HEALTH_SAY_UNAVAILABLE,
        [HEALTH_OK] = HEALTH_SAY_OK,
        [HEALTH_COAST] = HEALTH_SAY_OK,
        [HEALTH_SOFT] = grid->legacy ? HEALTH_SAY_OK : HEALTH_SAY_TEXT,
        [HEALTH_HARD] = HEALTH_SAY_FAILED,
    };
    return answers[state];
}

static enum health_encrypt table_encrypt(enum health_state state)
{
    if (state == HEALTH_START) {
        return HEALTH_ENCRYPT_WAITS;
    }
    return state == HEALTH_HARD ? HEALTH_ENCRYPT_REFUSED : HEALTH_ENCRYPT;
}

static void compare(struct grid *grid)
{
    enum health_state expected = table_state(&grid->policy, &grid->facts);
    enum health_state state = health_evaluate(&grid->policy, &grid->facts);
    bool right = state == expected && health_encrypt_answer(state) == table_encrypt(expected) &&
                 health_status_answer(state, &grid->policy, &grid->facts, grid->legacy) ==
                     table_answer(expected, grid);
    grid->cases++;
    grid->states[expected]++;
    if (!right) {
        grid->wrong++;
        (void)printf("age %lld, coast %lld, soft %lld: %s, the table says %s\n",
                     (long long)grid->facts.proof_age_ms, (long long)grid->policy.coast_ms,
                     (long long)grid->policy.soft_ms, health_state_name(state),
                     health_state_name(expected));
    }
}

static void all_flags(struct grid *grid)
{
    for (unsigned flags = 0; flags < 32; flags++) {
        grid->facts.bad_verdict = flags & 1;
        grid->facts.hard_remembered = flags & 2;
        grid->facts.older_than_remembered = flags & 4;
        grid->facts.key_remembered = flags & 8;
        grid->legacy = flags & 16;
        compare(grid);
    }
}

/* Just before, at and just past each border of this policy, and the ends of the range. */
static size_t ages(const struct health_policy *policy, int64_t *ret_ages)
{
    const int64_t borders[] = {0, MINUTE, policy->coast_ms, policy->coast_ms + policy->soft_ms,
                               INT64_MAX / 2};
    size_t n = 0;
    ret_ages[n++] = -1;
    for (size_t i = 0; i < COUNT(borders); i++) {
        for (int64_t off = -1; off <= 1; off++) {
            ret_ages[n++] = borders[i] + off;
        }
    }
    return n;
}

int main(void)
{
    struct grid grid = {0};
    for (size_t i = 0; i < COUNT(policies); i++) {
        int64_t age[32];
        size_t n = ages(&policies[i], age);
        grid.policy = policies[i];
        for (size_t k = 0; k < n * n; k++) {
            grid.facts.proof_age_ms = age[k / n];
            grid.facts.outage_remembered_ms = age[k % n];
            all_flags(&grid);
        }
    }
    (void)printf("health: %lu cases, %lu wrong; START %lu, OK %lu, COAST %lu, SOFT %lu, HARD %lu\n",
                 grid.cases, grid.wrong, grid.states[0], grid.states[1], grid.states[2],
                 grid.states[3], grid.states[4]);
    return grid.wrong == 0 ? 0 : 1;
}
