#include "keys/rotate.h"

/*
 * Seconds of the notice that may pass between this plan and the token's own stamp. Nodes list every
 * 20 s, so the shortest delay that makes sense is far longer.
 */
#define SLACK_S 10u

static const struct ring_key *higher(const struct ring_key *a, const struct ring_key *b)
{
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    return ring_compare(a, b) >= 0 ? a : b;
}

static uint32_t later(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Also `created` must be reached before the new KEK may seal. */
static uint32_t rank_above(const struct rotate_facts *facts)
{
    uint32_t listed = ring_next_created(facts->keys, facts->n, facts->now_s);
    const struct ring_key *lost = facts->remembered;
    return lost == NULL ? listed : later(listed, lost->created + 1);
}

/* No key can seal now. Wherever there ever was one, `now` leads out. */
static err_t check_first(const struct rotate_facts *facts, bool unknown_above,
                         const struct rotate_wish *wish)
{
    const struct ring_key *lost = facts->remembered;
    if (lost == NULL && facts->n + facts->broken_labels + facts->unnamed == 0) {
        return FAIL_DETAIL(E_NOT_FOUND, ROTATE_EMPTY, "the ring has no key");
    }
    if (ring_all_ahead(facts->keys, facts->n, facts->now_s) && !wish->clock_is_right) {
        return FAIL_DETAIL(E_STATE, ROTATE_ALL_AHEAD,
                           "every key of the ring becomes active only in the future");
    }
    if (wish->now) {
        return OK;
    }
    if (unknown_above || facts->unnamed > 0) {
        return FAIL_DETAIL(E_UNAVAILABLE, ROTATE_UNREADABLE, "a key of the ring cannot be read");
    }
    if (lost != NULL) {
        return FAIL_DETAIL(E_NOT_FOUND, ROTATE_LOST, "the KEK that served is lost or unusable");
    }
    return OK;
}

static err_t check(const struct rotate_facts *facts, const struct ring_choice *choice,
                   const struct rotate_wish *wish)
{
    if (choice->selected == NULL) {
        TRY(check_first(facts, choice->unknown_above, wish));
    }
    if (!wish->clock_is_right && ring_clock_doubtful(facts->keys, facts->n, facts->now_s)) {
        return FAIL_DETAIL(E_STATE, ROTATE_CLOCK_DOUBT,
                           "the clock is more than 400 days past the ring's newest key");
    }
    return OK;
}

err_t rotate_plan(const struct rotate_facts *facts, const struct rotate_wish *wish,
                  struct rotate_plan *ret_plan)
{
    struct ring_choice choice;
    ring_choose(facts->keys, facts->n, facts->now_s, &choice);
    TRY(check(facts, &choice, wish));
    /* A lost KEK leaves only the memory of it; the new one must rank above it to serve here. */
    const struct ring_key *base = higher(choice.selected, facts->remembered);
    uint32_t delay_s = wish->now ? 0 : wish->delay_s;
    uint32_t earliest = 0;
    uint32_t not_before = 0;
    struct rotate_plan plan = {.created_s = rank_above(facts)};
    TRY(ring_next_not_before(base, facts->now_s, delay_s, 0, &earliest));
    ret_plan->earliest_s = plan.earliest_s = earliest;
    TRY(ring_next_not_before(base, facts->now_s, delay_s, wish->at_s, &not_before));
    if (delay_s == 0 && wish->at_s == 0) {
        /* the token's own "now" is the only one that is never too late */
        plan.floor_s = not_before;
    } else {
        plan.not_before = later(not_before, plan.created_s);
        plan.min_notice_s = wish->delay_s > SLACK_S ? wish->delay_s - SLACK_S : 0;
    }
    *ret_plan = plan;
    return OK;
}
