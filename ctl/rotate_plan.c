#include "ctl/rotate_plan.h"

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
static uint32_t rank_above(const struct ring_view *view, const struct ring_key *lost)
{
    uint32_t listed = ring_next_created(view->ring, view->n, view->now_s);
    return lost == NULL ? listed : later(listed, lost->created + 1);
}

/* No key can seal now. Wherever there ever was one, --now leads out and never back to init. */
static err_t check_first(const struct ring_view *view, const struct ring_key *lost,
                         const struct rotate_wish *wish)
{
    if (lost == NULL && view->n + view->broken_labels + view->unnamed == 0) {
        return FAIL(E_NOT_FOUND, "the ring has no key on this token: `p11-kmsctl init` makes its "
                                 "first");
    }
    if (ring_view_all_ahead(view) && !wish->clock_is_right) {
        return FAIL(E_STATE,
                    "every key of the ring becomes active only in the future: set the clock "
                    "of this host, or if it is right, say so with --clock-is-right");
    }
    if (wish->now) {
        return OK;
    }
    if (view->choice.unknown_above) {
        return FAIL(E_UNAVAILABLE, "a key of this ring cannot be read: try again, and see "
                                   "`p11-kmsctl keys`. If it stays so, `p11-kmsctl rotate --now` "
                                   "makes another");
    }
    if (lost != NULL) {
        return FAIL(E_NOT_FOUND, "the KEK that served here is lost or unusable: "
                                 "`p11-kmsctl rotate --now` makes one that takes its place");
    }
    return OK;
}

err_t rotate_plan(const struct ring_view *view, const struct state_current *remembered,
                  const struct rotate_wish *wish, struct rotate_plan *ret_plan)
{
    struct ring_key memory = {0};
    if (remembered != NULL) {
        memory = (struct ring_key){.not_before = remembered->not_before,
                                   .created = remembered->created,
                                   .verdict = RING_GOOD};
        span_move(memory.kek_id, remembered->kek_id, sizeof(memory.kek_id));
    }
    /* A lost KEK leaves only the memory of it; the new one must rank above it to serve here. */
    const struct ring_key *lost = remembered != NULL ? &memory : NULL;
    const struct ring_key *base = higher(view->choice.selected, lost);
    if (view->choice.selected == NULL) {
        TRY(check_first(view, lost, wish));
    }
    if (!wish->clock_is_right && ring_clock_doubtful(view->ring, view->n, view->now_s)) {
        return FAIL(E_STATE, "the clock is more than 400 days past the ring's newest key: if it is "
                             "right, say so with --clock-is-right");
    }
    uint32_t delay_s = wish->now ? 0 : wish->delay_s;
    uint32_t earliest = 0;
    uint32_t not_before = 0;
    struct rotate_plan plan = {.created_s = rank_above(view, lost)};
    TRY(ring_next_not_before(base, view->now_s, delay_s, 0, &earliest));
    ret_plan->earliest_s = plan.earliest_s = earliest;
    TRY(ring_next_not_before(base, view->now_s, delay_s, wish->at_s, &not_before));
    if (delay_s == 0 && wish->at_s == 0) {
        plan.floor_s =
            not_before; /* the token's own "now" is the only one that is never too late */
    } else {
        plan.not_before = later(not_before, plan.created_s);
        plan.min_notice_s = wish->delay_s > SLACK_S ? wish->delay_s - SLACK_S : 0;
    }
    *ret_plan = plan;
    return OK;
}
